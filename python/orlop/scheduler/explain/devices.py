"""Claims for devices, their classes and what drivers offer, as they were listed."""

from collections.abc import Iterable

from orlop.api.types import resource_v1
from orlop.client import copy
from orlop.client.decode import decode
from orlop.scheduler.devices.deciding import Claim, Devices, PodClaims, read

Key = tuple[str, str]

RESOURCES = {
    "resourceclaims": "/apis/resource.k8s.io/v1/resourceclaims",
    "deviceclasses": "/apis/resource.k8s.io/v1/deviceclasses",
    "resourceslices": "/apis/resource.k8s.io/v1/resourceslices",
    "devicetaintrules": "/apis/resource.k8s.io/v1beta2/devicetaintrules",
}
"""What is listed, in the order in which `fill` takes it."""


class ListedDevices(Devices):
    """The devices of one moment. A claim that no pod on a node uses holds nothing, as its controller would have it."""

    def __init__(self) -> None:
        super().__init__()
        self._claims: dict[Key, Claim] = {}
        self._classes: dict[str, resource_v1.DeviceClass] = {}
        self._users: dict[Key, set[Key]] = {}
        """Pods on nodes, by the claims they use."""
        self._freed: dict[Key, Claim] = {}
        """Claims as they were listed, of those whose last user was taken away."""

    def fill(
        self,
        claims: Iterable[bytes] = (),
        classes: Iterable[bytes] = (),
        slices: Iterable[bytes] = (),
        rules: Iterable[bytes] = (),
    ) -> None:
        """Takes over what the API listed."""
        for found in (decode(resource_v1.DeviceClass, value) for value in classes):
            self._classes[found.metadata.name] = found
        for slice in (decode(resource_v1.ResourceSlice, value) for value in slices):
            self._seen.replace(None, slice)
        for rule in (decode(resource_v1.DeviceTaintRule, value) for value in rules):
            self._seen.rule(None, rule)
        for claim in (decode(Claim, value) for value in claims):
            self.add_claim(claim)

    def add_claim(self, claim: Claim) -> None:
        """Takes over one more claim, or another state of it."""
        self._claims[claim.metadata.namespace, claim.metadata.name] = claim
        self.count(claim.metadata.uid, claim.status.allocation)

    def use(self, key: Key, value: bytes, *, on: bool) -> None:
        """A pod came to a node, or left it: with its last user a claim loses its devices."""
        pod = read(value)
        for name in pod.names() if pod is not None else ():
            claim_key = (key[0], name)
            users = self._users.setdefault(claim_key, set())
            (users.add if on else users.discard)(key)
            claim = self._claims.get(claim_key)
            if on and (freed := self._freed.pop(claim_key, None)) is not None:
                self.add_claim(freed)
            elif not on and not users and claim is not None and claim.status.allocation is not None:
                self._freed[claim_key] = claim
                claim = copy(claim)
                claim.status.allocation, claim.status.reserved_for = None, []
                self.add_claim(claim)

    def settle(self, pod: PodClaims, node: str, labels: dict[str, str]) -> None:
        """Gives the pod's claims devices as if it had come to the node."""
        claims = [claim for claim in self.wanted(pod) if claim.status.allocation is None]
        for claim, found in zip(claims, self.find(claims, node, labels) or (), strict=False):
            held = copy(claim)
            held.status.allocation = found.result
            self.add_claim(held)

    def spelled(self, value: bytes) -> str:
        """How many devices of which classes a pod's claims ask for."""
        pod = read(value)
        claims = [self._claims.get((pod.metadata.namespace, name)) for name in sorted(pod.names())] if pod else []
        return ", ".join(_asked(request) for claim in claims if claim for request in claim.spec.devices.requests)

    def claim(self, namespace: str, name: str) -> Claim | None:
        return self._claims.get((namespace, name))

    def device_class(self, name: str) -> resource_v1.DeviceClass | None:
        return self._classes.get(name)

    def is_promised(self, uid: str) -> bool:
        return False


def _asked(request: resource_v1.DeviceRequest) -> str:
    if (exactly := request.exactly) is not None:
        return _amount(exactly.allocation_mode, exactly.count, exactly.device_class_name)
    return " or ".join(_amount(s.allocation_mode, s.count, s.device_class_name) for s in request.first_available)


def _amount(mode: str, count: int, device_class: str) -> str:
    return f"{'all' if mode == 'All' else max(count, 1)} of class {device_class}"
