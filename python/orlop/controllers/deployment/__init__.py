"""Deployments: ReplicaSets, one for each revision of a template, and the rollout from one to the next.

Upstream: pkg/controller/deployment. `controller` has the order of things, `rollout` how many pods a step may add and
take, `scaling` what a change of the number means in the middle of a rollout, `revisions` which set is which and how
they are numbered, `status` what is reported.
"""

from orlop.controllers.deployment.controller import DeploymentController as DeploymentController
