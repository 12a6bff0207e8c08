"""DynamicResources: devices of ResourceSlices for the ResourceClaims of pods (KEP-4381 and those that build on it).

`slices` knows which devices a node can reach, `used` what claims hold of them, `allocate` finds devices for claims,
`deciding` says which nodes a pod's claims allow, and `claims` what is promised and written before a pod is bound.
"""

from orlop.scheduler.devices.allocate import AllocationFailed as AllocationFailed
from orlop.scheduler.devices.claims import DeviceBinder as DeviceBinder, DevicePlan as DevicePlan
from orlop.scheduler.devices.deciding import DYNAMIC as DYNAMIC, Devices as Devices, PodClaims as PodClaims
