"""StatefulSets: pods with names, numbers and claims that they keep. Upstream: pkg/controller/statefulset.

`identity` has what makes a pod the one of its number, `claims` its PersistentVolumeClaims and who they go with,
`control` the order in which pods are made, ended and updated, `controller` the rest: revisions and status.
"""

from orlop.controllers.statefulset.controller import StatefulSetController as StatefulSetController
