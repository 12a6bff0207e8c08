"""DynamicResources: devices of ResourceSlices for the ResourceClaims of pods (KEP-4381 and those that build on it).

`slices` knows which devices a node can reach, `used` what claims hold of them, `allocate` finds devices for claims, and
`claims` is the plug-in: which nodes it allows, what is promised, and what is written before a pod is bound.
"""

from orlop.scheduler.devices.allocate import AllocationFailed as AllocationFailed
from orlop.scheduler.devices.claims import (
    DYNAMIC as DYNAMIC,
    DeviceBinder as DeviceBinder,
    DevicePlan as DevicePlan,
    PodClaims as PodClaims,
)
