"""DaemonSets: one pod on every node that fits. Upstream: pkg/controller/daemon.

`placement` says which nodes those are and pins a pod to its node, `rollout` what an update may delete and make,
`backoff` how often a pod that fails is made anew, `controller` the order of things.
"""

from orlop.controllers.daemonset.controller import DaemonSetController as DaemonSetController
