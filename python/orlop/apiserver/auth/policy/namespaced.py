"""The Roles that every cluster has in kube-system and kube-public."""

from orlop.api.types.rbac_v1 import Role, RoleBinding
from orlop.apiserver.auth.policy.build import EVENTS, READ, account, allow, binding, role, user
from orlop.apiserver.auth.policy.cluster import COORDINATION, DISCOVERY

_SYSTEM, _PUBLIC = "kube-system", "kube-public"
_AUTHENTICATION = "extension-apiserver-authentication"
_LEADER = "system::leader-locking-"
_CONTROLLER = "system:controller:"


def roles() -> list[Role]:
    leases = allow(f"create {READ} update", COORDINATION, "leases")
    return [
        role(
            _SYSTEM,
            f"{_AUTHENTICATION}-reader",
            allow(READ, "core", "configmaps", names=_AUTHENTICATION),
        ),
        *(
            role(
                _SYSTEM,
                _LEADER + component,
                leases,
                allow(f"create {READ} update", COORDINATION, "leasecandidates"),
            )
            for component in ("kube-controller-manager", "kube-scheduler")
        ),
        # orlop's own: each node's DNS stands behind the Service kube-dns, which it makes where it is missing
        role(
            _SYSTEM,
            "system:node-dns",
            allow("create", "core", "services"),
            allow("create update", DISCOVERY, "endpointslices"),
        ),
        role(_SYSTEM, f"{_CONTROLLER}bootstrap-signer", allow(READ, "core", "secrets")),
        role(_SYSTEM, f"{_CONTROLLER}cloud-provider", allow(f"create {READ}", "core", "configmaps")),
        role(_SYSTEM, f"{_CONTROLLER}token-cleaner", allow(f"delete {READ}", "core", "secrets"), EVENTS),
        role(
            _PUBLIC,
            f"{_CONTROLLER}bootstrap-signer",
            allow(READ, "core", "configmaps"),
            allow("update", "core", "configmaps", names="cluster-info"),
            EVENTS,
        ),
    ]


def role_bindings() -> list[RoleBinding]:
    managers = [user("system:kube-controller-manager"), user("system:kube-scheduler")]
    components = [
        binding(_SYSTEM, _LEADER + component, user(f"system:{component}"), account(component))
        for component in ("kube-controller-manager", "kube-scheduler")
    ]
    manager = user("system:kube-controller-manager")  # as which orlop's controllers act
    controllers = [
        binding(_SYSTEM, _CONTROLLER + name, account(name), manager)
        for name in ("bootstrap-signer", "cloud-provider", "token-cleaner")
    ]
    return [
        binding(_SYSTEM, f"system::{_AUTHENTICATION}-reader", *managers, role=f"{_AUTHENTICATION}-reader"),
        *components,
        binding(_SYSTEM, "system:node-dns", user("system:node-dns")),
        *controllers,
        binding(_PUBLIC, f"{_CONTROLLER}bootstrap-signer", account("bootstrap-signer"), manager),
    ]
