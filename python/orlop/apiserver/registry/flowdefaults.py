"""FlowSchemas and PriorityLevelConfigurations of every cluster: k8s.io/apiserver's pkg/apis/flowcontrol/bootstrap.

Two of each are as they are here, whatever is written; the others are suggestions.
"""

from orlop.api.types import flowcontrol_v1 as types, meta_v1

AUTO_UPDATE = "apf.kubernetes.io/autoupdate-spec"
MANDATORY = frozenset({"exempt", "catch-all"})
"""Names of schemas, and of levels, that keep their spec."""
ALL = ["*"]

LEVELS: tuple[tuple[str, int, int, int, int], ...] = (
    # name, shares, percent that may be lent, queues, queues of a flow
    ("system", 30, 33, 64, 6),
    ("node-high", 40, 25, 64, 6),
    ("leader-election", 10, 0, 16, 4),
    ("workload-high", 40, 50, 128, 6),
    ("workload-low", 100, 90, 128, 6),
    ("global-default", 20, 50, 128, 6),
)
QUEUE_LENGTH = 50

EVERYTHING = types.ResourcePolicyRule(verbs=ALL, api_groups=ALL, resources=ALL, cluster_scope=True, namespaces=ALL)
EVERY_PATH = types.NonResourcePolicyRule(verbs=ALL, non_resource_urls=ALL)


def _leases(verbs: list[str]) -> types.ResourcePolicyRule:
    return types.ResourcePolicyRule(
        verbs=verbs, api_groups=["coordination.k8s.io"], resources=["leases"], namespaces=ALL
    )


def _groups(*names: str) -> list[types.Subject]:
    return [types.Subject(kind="Group", group=types.GroupSubject(name=name)) for name in names]


def _users(*names: str) -> list[types.Subject]:
    return [types.Subject(kind="User", user=types.UserSubject(name=name)) for name in names]


def _schema(
    name: str,
    level: str,
    precedence: int,
    method: str,
    subjects: list[types.Subject],
    resources: list[types.ResourcePolicyRule] | None = None,
    paths: list[types.NonResourcePolicyRule] | None = None,
) -> types.FlowSchema:
    rule = types.PolicyRulesWithSubjects(
        subjects=subjects,
        resource_rules=[EVERYTHING] if resources is None else resources,
        non_resource_rules=[EVERY_PATH] if paths is None else paths,
    )
    return types.FlowSchema(
        metadata=meta_v1.ObjectMeta(name=name, annotations={AUTO_UPDATE: "true"}),
        spec=types.FlowSchemaSpec(
            priority_level_configuration=types.PriorityLevelConfigurationReference(name=level),
            matching_precedence=precedence,
            distinguisher_method=types.FlowDistinguisherMethod(type=method) if method else None,
            rules=[rule],
        ),
    )


def schemas() -> list[types.FlowSchema]:
    """The schemas of a new cluster."""
    anybody = _groups("system:unauthenticated", "system:authenticated")
    nodes = _groups("system:nodes")
    of_kube_system = [
        types.Subject(
            kind="ServiceAccount",
            service_account=types.ServiceAccountSubject(namespace="kube-system", name="*"),
        )
    ]
    manager, scheduler = "system:kube-controller-manager", "system:kube-scheduler"
    of_nodes = types.ResourcePolicyRule(
        verbs=ALL, api_groups=[""], resources=["nodes", "nodes/status"], cluster_scope=True, namespaces=ALL
    )
    probes = types.NonResourcePolicyRule(verbs=["get"], non_resource_urls=["/healthz", "/readyz", "/livez"])
    leading = _leases(["get", "create", "update"])
    by_user, by_namespace = "ByUser", "ByNamespace"
    return [
        _schema("exempt", "exempt", 1, "", _groups("system:masters")),
        _schema("probes", "exempt", 2, "", anybody, [], [probes]),
        _schema(
            "system-leader-election",
            "leader-election",
            100,
            by_user,
            [*_users(manager, scheduler), *of_kube_system],
            [leading],
            [],
        ),
        _schema("system-node-high", "node-high", 400, by_user, nodes, [of_nodes, _leases(ALL)], []),
        _schema("system-nodes", "system", 500, by_user, nodes),
        _schema("kube-controller-manager", "workload-high", 800, by_namespace, _users(manager)),
        _schema("kube-scheduler", "workload-high", 800, by_namespace, _users(scheduler)),
        _schema("kube-system-service-accounts", "workload-high", 900, by_namespace, of_kube_system),
        _schema("service-accounts", "workload-low", 9000, by_user, _groups("system:serviceaccounts")),
        _schema("global-default", "global-default", 9900, by_user, anybody),
        _schema("catch-all", "catch-all", 10000, by_user, anybody),
    ]


def levels() -> list[types.PriorityLevelConfiguration]:
    """The priority levels of a new cluster."""
    exempt = types.PriorityLevelConfigurationSpec(
        type="Exempt",
        exempt=types.ExemptPriorityLevelConfiguration(nominal_concurrency_shares=0, lendable_percent=0),
    )
    last = types.PriorityLevelConfigurationSpec(
        type="Limited",
        limited=types.LimitedPriorityLevelConfiguration(
            nominal_concurrency_shares=5, lendable_percent=0, limit_response=types.LimitResponse(type="Reject")
        ),
    )
    specs = {"exempt": exempt, "catch-all": last}
    for name, shares, lendable, queues, hand in LEVELS:
        queuing = types.QueuingConfiguration(queues=queues, hand_size=hand, queue_length_limit=QUEUE_LENGTH)
        limited = types.LimitedPriorityLevelConfiguration(
            nominal_concurrency_shares=shares,
            lendable_percent=lendable,
            limit_response=types.LimitResponse(type="Queue", queuing=queuing),
        )
        specs[name] = types.PriorityLevelConfigurationSpec(type="Limited", limited=limited)
    return [
        types.PriorityLevelConfiguration(
            metadata=meta_v1.ObjectMeta(name=name, annotations={AUTO_UPDATE: "true"}), spec=spec
        )
        for name, spec in specs.items()
    ]
