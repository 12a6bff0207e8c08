"""Rules of a pod's spec, in the order in which upstream reports: pkg/apis/core/validation's ValidatePodSpec."""

from orlop.api.errors import FieldError, forbidden_field, invalid_value, required
from orlop.api.types import core_v1, meta_v1
from orlop.apiserver.registry import containers, names, resources, scheduling, security, volumes
from orlop.apiserver.registry.resources import unsupported

RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
MAX_DEADLINE = (1 << 31) - 1
MAX_NAMESERVERS = 3
MAX_SEARCHES = 32
MAX_SEARCH_CHARACTERS = 2048
MIRROR = "kubernetes.io/config.mirror"


def validate_pod(pod: core_v1.Pod) -> list[FieldError]:
    """What is wrong with a new pod besides its metadata."""
    errors = validate_spec(pod.spec, "spec", pod.metadata)
    if pod.spec.ephemeral_containers:
        errors.append(forbidden_field("spec.ephemeralContainers", "cannot be set on create"))
    if pod.spec.scheduling_gates and pod.spec.node_name:
        errors.append(forbidden_field("spec.nodeName", "cannot be set until all schedulingGates have been cleared"))
    mirror = pod.metadata.annotations.get(MIRROR)
    if mirror is not None and not pod.spec.node_name:
        errors.append(
            invalid_value(
                f"metadata.annotations[{MIRROR}]", mirror, "must set spec.nodeName if mirror pod annotation is set"
            )
        )
    return errors


def validate_spec(spec: core_v1.PodSpec, path: str, metadata: meta_v1.ObjectMeta) -> list[FieldError]:
    """What is wrong with a pod's spec, in a pod or in a template."""
    found, errors = volumes.validate(spec.volumes, f"{path}.volumes")
    errors += containers.validate_all(spec, path, found)
    if not spec.restart_policy:
        errors.append(required(f"{path}.restartPolicy"))
    elif spec.restart_policy not in RESTART_POLICIES:
        errors.append(unsupported(f"{path}.restartPolicy", spec.restart_policy, RESTART_POLICIES))
    errors += _dns(spec, path)
    errors += scheduling.validate(spec, path)
    if spec.security_context is not None:
        errors += security.validate_pod(spec.security_context, f"{path}.securityContext")
    if spec.resources is not None:
        errors += resources.validate_requirements(spec.resources, f"{path}.resources")
    for i, secret in enumerate(spec.image_pull_secrets):
        if not secret.name:
            errors.append(required(f"{path}.imagePullSecrets[{i}].name"))
    if spec.service_account_name:
        errors += [
            invalid_value(f"{path}.serviceAccountName", spec.service_account_name, m)
            for m in names.subdomain(spec.service_account_name)
        ]
    if spec.node_name:
        errors += [invalid_value(f"{path}.nodeName", spec.node_name, m) for m in names.subdomain(spec.node_name)]
    if spec.active_deadline_seconds is not None and not 1 <= spec.active_deadline_seconds <= MAX_DEADLINE:
        why = f"must be between 1 and {MAX_DEADLINE}, inclusive"
        errors.append(invalid_value(f"{path}.activeDeadlineSeconds", spec.active_deadline_seconds, why))
    if spec.hostname:
        errors += [invalid_value(f"{path}.hostname", spec.hostname, m) for m in names.label(spec.hostname)]
    if spec.subdomain:
        errors += [invalid_value(f"{path}.subdomain", spec.subdomain, m) for m in names.label(spec.subdomain)]
    for i, alias in enumerate(spec.host_aliases):
        where = f"{path}.hostAliases[{i}]"
        errors += [invalid_value(f"{where}.ip", alias.ip, m) for m in names.ip(alias.ip)]
        for j, host in enumerate(alias.hostnames):
            errors += [invalid_value(f"{where}.hostnames[{j}]", host, m) for m in names.subdomain(host)]
    if spec.priority_class_name:
        errors += [
            invalid_value(f"{path}.priorityClassName", spec.priority_class_name, m)
            for m in names.subdomain(spec.priority_class_name)
        ]
    if spec.runtime_class_name is not None:
        errors += [
            invalid_value(f"{path}.runtimeClassName", spec.runtime_class_name, m)
            for m in names.subdomain(spec.runtime_class_name)
        ]
    if spec.preemption_policy not in (None, "PreemptLowerPriority", "Never"):
        errors.append(
            unsupported(f"{path}.preemptionPolicy", spec.preemption_policy, ("Never", "PreemptLowerPriority"))
        )
    if spec.os is not None and spec.os.name not in ("linux", "windows"):
        if not spec.os.name:
            errors.append(required(f"{path}.os.name"))
        else:
            errors.append(unsupported(f"{path}.os", spec.os.name, ("linux", "windows")))
    if spec.host_users is False and (spec.host_network or spec.host_pid or spec.host_ipc):
        for json, value in (("hostNetwork", spec.host_network), ("hostPID", spec.host_pid), ("hostIPC", spec.host_ipc)):
            if value:
                errors.append(forbidden_field(f"{path}.{json}", "when `hostUsers` is false"))
    if spec.share_process_namespace and spec.host_pid:
        errors.append(
            invalid_value(
                f"{path}.shareProcessNamespace", True, "ShareProcessNamespace and HostPID cannot both be enabled"
            )
        )
    return errors


def _dns(spec: core_v1.PodSpec, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if spec.dns_policy not in DNS_POLICIES:
        errors.append(unsupported(f"{path}.dnsPolicy", spec.dns_policy, DNS_POLICIES))
    config = spec.dns_config
    if spec.dns_policy == "None":
        if config is None:
            return [*errors, required(f"{path}.dnsConfig", "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not config.nameservers:
            errors.append(
                required(
                    f"{path}.dnsConfig.nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None"
                )
            )
    if config is None:
        return errors
    where = f"{path}.dnsConfig"
    if len(config.nameservers) > MAX_NAMESERVERS:
        why = f"must not have more than {MAX_NAMESERVERS} nameservers"
        errors.append(invalid_value(f"{where}.nameservers", config.nameservers, why))
    for i, server in enumerate(config.nameservers):
        errors += [invalid_value(f"{where}.nameservers[{i}]", server, m) for m in names.ip(server)]
    if len(config.searches) > MAX_SEARCHES:
        why = f"must not have more than {MAX_SEARCHES} search paths"
        errors.append(invalid_value(f"{where}.searches", config.searches, why))
    if len(" ".join(config.searches)) > MAX_SEARCH_CHARACTERS:
        why = f"must not have more than {MAX_SEARCH_CHARACTERS} characters (including spaces) in the search list"
        errors.append(invalid_value(f"{where}.searches", config.searches, why))
    for i, search in enumerate(config.searches):
        name = search.removesuffix(".")
        if name:
            errors += [
                invalid_value(f"{where}.searches[{i}]", search, m) for m in names.subdomain(name.replace("_", "-"))
            ]
    for i, option in enumerate(config.options):
        if not option.name:
            errors.append(required(f"{where}.options[{i}]", "must not be empty"))
    return errors
