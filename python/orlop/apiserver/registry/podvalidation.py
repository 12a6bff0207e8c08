"""Rules of a pod's spec, in the order in which upstream reports: pkg/apis/core/validation's ValidatePodSpec."""

from orlop.api.errors import FieldError, duplicate, forbidden_field, invalid_value, required
from orlop.api.types import core_v1, meta_v1
from orlop.apiserver.registry import (
    containers,
    environment,
    ephemeral,
    meta,
    names,
    podannotations,
    podresources,
    resources,
    scheduling,
    security,
    volumes,
    windows,
)
from orlop.apiserver.registry.common import subdomain
from orlop.apiserver.registry.goforms import go_form
from orlop.apiserver.registry.podannotations import MIRROR
from orlop.apiserver.registry.resources import unsupported

RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")
MAX_DEADLINE = (1 << 31) - 1
MAX_NAMESERVERS = 3
MAX_SEARCHES = 32
MAX_SEARCH_CHARACTERS = 2048
MAX_HOSTNAME = 64
"""Bytes of `hostnameOverride`: what Linux takes for a host name."""


def validate_pod(pod: core_v1.Pod) -> list[FieldError]:
    """What is wrong with a new pod besides its metadata."""
    errors = validate_current(pod)
    if pod.spec.ephemeral_containers:
        errors.append(forbidden_field("spec.ephemeralContainers", "cannot be set on create"))
    if pod.spec.scheduling_gates and pod.spec.node_name:
        errors.append(forbidden_field("spec.nodeName", "cannot be set until all schedulingGates have been cleared"))
    return errors + podannotations.validate_match(pod.metadata, pod.spec, "spec")


def validate_current(pod: core_v1.Pod, old: core_v1.Pod | None = None) -> list[FieldError]:
    """What is wrong with a pod as it is now, new or changed, besides its metadata. `old` is what it was."""
    spec = pod.spec
    before = None if old is None else old.metadata.annotations.get(podannotations.DELETION_COST)
    errors = podannotations.validate(pod.metadata.annotations, spec, "metadata.annotations", before)
    errors += validate_spec(spec, "spec", pod.metadata)
    if not spec.service_account_name:
        errors += _tokens(spec.volumes)
    errors += containers.validate_images(spec.containers, "spec.containers")
    if spec.init_containers:
        errors += containers.validate_images(spec.init_containers, "spec.initContainers")
    return errors


def _tokens(listed: list[core_v1.Volume]) -> list[FieldError]:
    words = "must not be specified when serviceAccountName is not set"
    return [
        forbidden_field(f"spec.volumes[{i}].projected.sources[{j}].serviceAccountToken", words)
        for i, volume in enumerate(listed)
        if volume.projected is not None
        for j, source in enumerate(volume.projected.sources)
        if source.service_account_token is not None
    ]


def validate_spec(spec: core_v1.PodSpec, path: str, pod: meta_v1.ObjectMeta | None = None) -> list[FieldError]:
    """What is wrong with a pod's spec. `pod` is the pod's metadata, None in a template."""
    errors: list[FieldError] = []
    if spec.termination_grace_period_seconds is None:
        errors.append(required(f"{path}.terminationGracePeriodSeconds"))
    found, wrong = volumes.validate(spec.volumes, f"{path}.volumes", pod)
    errors += wrong
    if spec.resource_claims:
        errors += _resource_claims(spec.resource_claims, f"{path}.resourceClaims", pod)
    errors += containers.validate_all(spec, path, found)
    if spec.ephemeral_containers:
        errors += ephemeral.validate(spec, f"{path}.ephemeralContainers", found)
    if spec.resources is not None:
        errors += podresources.validate(spec, f"{path}.resources")
    if spec.host_network:
        errors += containers.validate_host_network(spec, path, is_pod=pod is not None)
    policy = spec.restart_policy
    if policy not in RESTART_POLICIES:
        where = f"{path}.restartPolicy"
        errors.append(unsupported(where, policy, RESTART_POLICIES) if policy else required(where))
    policy = spec.dns_policy
    if policy not in DNS_POLICIES:
        where = f"{path}.dnsPolicy"
        errors.append(unsupported(where, policy, DNS_POLICIES) if policy else required(where))
    if spec.node_selector:
        errors += meta.validate_labels(spec.node_selector, f"{path}.nodeSelector")
    if spec.security_context is not None:
        errors += security.validate_pod(spec.security_context, spec, f"{path}.securityContext")
    if spec.affinity is not None:
        errors += scheduling.affinity(spec.affinity, f"{path}.affinity")
    if spec.dns_config is not None or spec.dns_policy == "None":
        errors += _dns(spec, f"{path}.dnsConfig")
    for i, gate in enumerate(spec.readiness_gates):
        where = f"{path}.readinessGates[{i}].conditionType"
        errors += [invalid_value(where, gate.condition_type, m) for m in meta.key_errors(gate.condition_type)]
    if spec.scheduling_gates:
        errors += scheduling.gates(spec.scheduling_gates, f"{path}.schedulingGates")
    if spec.topology_spread_constraints:
        errors += scheduling.spread(spec.topology_spread_constraints, f"{path}.topologySpreadConstraints")
    errors += windows.validate_host_process(spec, path)
    if spec.host_users is False:
        errors += security.validate_host_users(spec, path)
    if spec.hostname_override is not None:
        errors += _hostname(spec, spec.hostname_override, f"{path}.hostnameOverride")
    return errors + _names(spec, path)


def _names(spec: core_v1.PodSpec, path: str) -> list[FieldError]:
    """The second half of a spec: names of other objects, and what steers the pod as a whole."""
    errors: list[FieldError] = []
    if spec.service_account_name:
        errors += subdomain(spec.service_account_name, f"{path}.serviceAccountName")
    if spec.node_name:
        errors += subdomain(spec.node_name, f"{path}.nodeName")
    deadline = spec.active_deadline_seconds
    if deadline is not None and not 1 <= deadline <= MAX_DEADLINE:
        words = f"must be between 1 and {MAX_DEADLINE}, inclusive"
        errors.append(invalid_value(f"{path}.activeDeadlineSeconds", deadline, words))
    if spec.hostname:
        errors += [invalid_value(f"{path}.hostname", spec.hostname, m) for m in names.label(spec.hostname)]
    if spec.subdomain:
        errors += [invalid_value(f"{path}.subdomain", spec.subdomain, m) for m in names.label(spec.subdomain)]
    if spec.tolerations:
        errors += scheduling.tolerations(spec.tolerations, f"{path}.tolerations")
    for i, alias in enumerate(spec.host_aliases):
        where = f"{path}.hostAliases[{i}]"
        errors += [invalid_value(f"{where}.ip", alias.ip, m) for m in names.ip(alias.ip)]
        for j, host in enumerate(alias.hostnames):
            errors += subdomain(host, f"{where}.hostnames[{j}]")
    if spec.priority_class_name:
        errors += subdomain(spec.priority_class_name, f"{path}.priorityClassName")
    if spec.runtime_class_name is not None:
        errors += subdomain(spec.runtime_class_name, f"{path}.runtimeClassName")
    policy = spec.preemption_policy
    if policy is not None and policy not in PREEMPTION_POLICIES:
        where = f"{path}.preemptionPolicy"
        errors.append(unsupported(where, policy, PREEMPTION_POLICIES) if policy else required(where))
    if spec.overhead:
        whole = core_v1.ResourceRequirements(limits=spec.overhead)
        errors += resources.validate_requirements(whole, f"{path}.overhead")
    if spec.os is not None:
        errors += windows.validate_os(spec, path)
    return errors + environment.validate_files(spec, path)


def _resource_claims(
    listed: list[core_v1.PodResourceClaim], path: str, pod: meta_v1.ObjectMeta | None
) -> list[FieldError]:
    if pod is not None and MIRROR in pod.annotations:
        return [forbidden_field("", "static pods do not support resource claims")] * len(listed)
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, claim in enumerate(listed):
        where = f"{path}[{i}]"
        if not claim.name:
            errors.append(required(f"{where}.name"))
        elif claim.name in seen:
            errors.append(duplicate(f"{where}.name", claim.name))
        else:
            errors += [invalid_value(f"{where}.name", claim.name, m) for m in names.label(claim.name)]
            seen.add(claim.name)
        own, template = claim.resource_claim_name, claim.resource_claim_template_name
        if own is not None and template is not None:
            words = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            errors.append(invalid_value(where, go_form(claim), words))
        if own is None and template is None:
            words = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            errors.append(invalid_value(where, go_form(claim), words))
        if own is not None:
            errors += subdomain(own, f"{where}.resourceClaimName")
        if template is not None:
            errors += subdomain(template, f"{where}.resourceClaimTemplateName")
    return errors


def _hostname(spec: core_v1.PodSpec, name: str, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if spec.set_hostname_as_fqdn:
        errors.append(forbidden_field(path, "may not be specified when setHostnameAsFQDN is true"))
    if spec.host_network:
        errors.append(forbidden_field(path, "may not be specified when hostNetwork is true"))
    if len(name) > MAX_HOSTNAME:
        errors.append(FieldError("FieldValueTooLong", path, None, f"may not be more than {MAX_HOSTNAME} bytes"))
    return errors + subdomain(name, path)


def _dns(spec: core_v1.PodSpec, path: str) -> list[FieldError]:
    config = spec.dns_config
    if config is None:
        return [required(path, "must provide `dnsConfig` when `dnsPolicy` is None")]
    where = f"{path}.nameservers"
    if spec.dns_policy == "None" and not config.nameservers:
        return [required(where, "must provide at least one DNS nameserver when `dnsPolicy` is None")]
    errors: list[FieldError] = []
    if len(config.nameservers) > MAX_NAMESERVERS:
        words = f"must not have more than {MAX_NAMESERVERS} nameservers"
        errors.append(invalid_value(where, config.nameservers, words))
    for i, server in enumerate(config.nameservers):
        errors += [invalid_value(f"{where}[{i}]", server, m) for m in names.ip(server)]
    where = f"{path}.searches"
    if len(config.searches) > MAX_SEARCHES:
        words = f"must not have more than {MAX_SEARCHES} search paths"
        errors.append(invalid_value(where, config.searches, words))
    if len(" ".join(config.searches)) > MAX_SEARCH_CHARACTERS:
        words = f"must not have more than {MAX_SEARCH_CHARACTERS} characters (including spaces) in the search list"
        errors.append(invalid_value(where, config.searches, words))
    for i, search in enumerate(config.searches):
        if search != ".":
            name = search.removesuffix(".")
            errors += [invalid_value(f"{where}[{i}]", name, m) for m in names.subdomain_with_underscore(name)]
    for i, option in enumerate(config.options):
        if not option.name:
            errors.append(required(f"{path}.options[{i}]", "must not be empty"))
    return errors
