"""The controllers: one file each, listed in `all_controllers`."""

from dataclasses import dataclass

from orlop.control.controller import Controller


class UnknownController(ValueError):
    """`--controllers` names one that there is not."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What controllers are told when they start; names and defaults are upstream's flags."""

    cluster_cidr: str = "10.244.0.0/16"
    """Pod addresses, comma separated for two families; "" allocates none."""
    service_cidr: str = "10.96.0.0/16"
    """Kept out of what nodes get, where the two overlap."""
    load_balancer_pool: str = ""
    """Addresses of Services of type LoadBalancer: ranges, comma separated; `nodes` for the nodes' own; "" leaves those
    to somebody else."""
    service_node_port_range: str = "30000-32767"
    node_monitor_grace_period: float = 50.0
    """Seconds of silence after which a node is unreachable."""
    node_startup_grace_period: float = 60.0
    """Seconds a new node may take to its first status."""
    terminated_pod_gc_threshold: int = 12_500
    """Ended pods kept before the oldest are removed; 0 keeps all."""
    root_ca: bytes = b""
    """PEM; empty publishes none."""
    legacy_service_account_token_clean_up_period: float = 365 * 86400.0
    """Seconds that a token which was made by itself is kept unused."""
    service_account_key: bytes = b""
    """The private key of service account tokens, PEM; without it no Secret gets one."""
    cluster_signing_cert: bytes = b""
    cluster_signing_key: bytes = b""
    """The authority (PEM) that signs CertificateSigningRequests; empty signs none."""
    cluster_signing_duration: float = 365 * 86400.0
    """Seconds that what it signs lasts at most."""


def all_controllers(options: Options) -> list[Controller]:
    """Every controller, in the order of `--help`."""
    from orlop.controllers import certificates
    from orlop.controllers.bootstraptokens import BootstrapSigner, TokenCleaner
    from orlop.controllers.clusterroleaggregation import ClusterRoleAggregationController
    from orlop.controllers.cronjob import CronJobController
    from orlop.controllers.daemonset import DaemonSetController
    from orlop.controllers.deployment import DeploymentController
    from orlop.controllers.devicetainteviction import DeviceTaintEvictionController
    from orlop.controllers.disruption import DisruptionController
    from orlop.controllers.endpoints import EndpointsController
    from orlop.controllers.endpointslice import EndpointSliceController
    from orlop.controllers.endpointslicemirroring import EndpointSliceMirroringController
    from orlop.controllers.garbagecollector import GarbageCollector
    from orlop.controllers.job import JobController
    from orlop.controllers.legacytokens import LegacyTokenCleaner
    from orlop.controllers.namespace import NamespaceController
    from orlop.controllers.nodeipam import NodeIPAMController
    from orlop.controllers.nodelifecycle import NodeLifecycleController
    from orlop.controllers.nodeloadbalancer import load_balancer_controller
    from orlop.controllers.nodettl import NodeTTLController
    from orlop.controllers.persistentvolume import volume_controllers
    from orlop.controllers.podautoscaler import HorizontalPodAutoscalerController
    from orlop.controllers.podgc import PodGCController
    from orlop.controllers.replicaset import ReplicaSetController, ReplicationControllerController
    from orlop.controllers.resourceclaim import ResourceClaimController
    from orlop.controllers.resourcequota import ResourceQuotaController
    from orlop.controllers.rootca import RootCAPublisher
    from orlop.controllers.serviceaccounts import ServiceAccountsController
    from orlop.controllers.serviceaccounttokens import ServiceAccountTokensController
    from orlop.controllers.serviceaddresses import ServiceAddressRepairController, port_range
    from orlop.controllers.servicecidrs import ServiceCIDRController
    from orlop.controllers.statefulset import StatefulSetController
    from orlop.controllers.storageversionmigration import StorageVersionMigrator
    from orlop.controllers.tainteviction import TaintEvictionController
    from orlop.controllers.ttlafterfinished import TTLAfterFinishedController
    from orlop.controllers.validatingadmissionpolicystatus import ValidatingAdmissionPolicyStatusController

    controllers: list[Controller] = [
        NamespaceController(),
        DeploymentController(),
        ReplicaSetController(),
        ReplicationControllerController(),
        StatefulSetController(),
        DaemonSetController(),
        JobController(),
        CronJobController(),
        TTLAfterFinishedController(),
        HorizontalPodAutoscalerController(),
        ServiceAccountsController(),
        LegacyTokenCleaner(options.legacy_service_account_token_clean_up_period),
        EndpointsController(),
        EndpointSliceController(),
        EndpointSliceMirroringController(),
        ServiceAddressRepairController(port_range(options.service_node_port_range)),
        ServiceCIDRController(),
        NodeLifecycleController(options.node_monitor_grace_period, options.node_startup_grace_period),
        NodeTTLController(),
        TaintEvictionController(),
        DeviceTaintEvictionController(),
        DisruptionController(),
        ResourceClaimController(),
        PodGCController(options.terminated_pod_gc_threshold),
        ClusterRoleAggregationController(),
        TokenCleaner(),
        BootstrapSigner(),
        StorageVersionMigrator(),
        ValidatingAdmissionPolicyStatusController(),
        certificates.CSRApprovingController(),
        certificates.CSRCleanerController(),
        certificates.PodCertificateRequestCleaner(),
        *volume_controllers(),
    ]
    if options.cluster_cidr:
        controllers.append(NodeIPAMController(options.cluster_cidr.split(","), options.service_cidr.split(",")))
    if options.load_balancer_pool:
        controllers.append(load_balancer_controller(options.load_balancer_pool))
    if options.root_ca:
        controllers.append(RootCAPublisher(options.root_ca))
        controllers.append(certificates.TrustBundlePublisher(options.root_ca))
    if options.service_account_key:
        controllers.append(ServiceAccountTokensController(options.service_account_key, options.root_ca))
    if options.cluster_signing_key:
        pair = options.cluster_signing_cert, options.cluster_signing_key
        controllers.append(certificates.CSRSigningController(*pair, options.cluster_signing_duration))
    # Last: these two share the caches that the others have asked for.
    controllers += [ResourceQuotaController(), GarbageCollector()]
    return controllers


def enabled(controllers: list[Controller], choice: str) -> list[Controller]:
    """Those that upstream's `--controllers` syntax selects: `*`, `NAME`, `-NAME`. Raises UnknownController."""
    words = [w.strip() for w in choice.split(",") if w.strip()]
    names = {c.name for c in controllers}
    for word in words:
        if word != "*" and word.removeprefix("-") not in names:
            raise UnknownController(
                f"{word.removeprefix('-')!r} is not in the list of known controllers: {', '.join(sorted(names))}"
            )
    return [c for c in controllers if f"-{c.name}" not in words and ("*" in words or c.name in words)]
