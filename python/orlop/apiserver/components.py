"""ComponentStatuses: what the server can say of the control plane's health. Nothing of them is stored."""

from orlop.api import errors, scheme
from orlop.api.scheme import Kind
from orlop.api.types import core_v1, meta_v1
from orlop.apiserver import negotiate, output
from orlop.apiserver.core import Core
from orlop.apiserver.registry.objects import encode
from orlop.apiserver.request import Request
from orlop.apiserver.response import Response
from orlop.clock import parse_time

NAMES = ("controller-manager", "etcd-0", "scheduler")
LEASES = {"controller-manager": "kube-controller-manager", "scheduler": "kube-scheduler"}
DEPRECATED = "v1 ComponentStatus is deprecated in v1.19+"


def _status(core: Core, name: str) -> core_v1.ComponentStatus:
    healthy, message = True, "ok"
    if name in LEASES:
        healthy, message = _leads(core, LEASES[name])
    condition = core_v1.ComponentCondition(type="Healthy", status="True" if healthy else "False", message=message)
    return core_v1.ComponentStatus(metadata=meta_v1.ObjectMeta(name=name), conditions=[condition])


def _leads(core: Core, lease: str) -> tuple[bool, str]:
    """Whether somebody holds a component's lease; where there are no leases nothing is known to be wrong."""
    kind = scheme.by_resource("coordination.k8s.io", "v1", "leases")
    assert kind is not None
    found = core.objects.get(kind, "kube-system", lease)
    if found is None or not found.spec.renew_time:
        return True, "ok"
    silent = core.clock.now() - parse_time(found.spec.renew_time)
    if silent <= (found.spec.lease_duration_seconds or 0):
        return True, "ok"
    return False, f"no leader has renewed its lease for {int(silent)} seconds"


async def show(core: Core, request: Request, kind: Kind) -> Response:
    """One component's status, or all of them."""
    accepted = negotiate.accept(request.header(b"accept"))
    info = request.info
    request.warn(DEPRECATED)
    if info.verb == "get":
        if info.name not in NAMES:
            raise errors.not_found(kind.singular, kind.group, info.name)
        return output.one(core, request, kind, encode(_status(core, info.name)), accepted)
    items = [encode(_status(core, name)) for name in NAMES]
    return output.many(core, request, kind, items, output.list_meta(core.hub.revision, "", None), accepted)
