"""Rules of what differs between Linux and Windows pods: pkg/apis/core/validation's validateOS and what it calls."""

import re
from collections.abc import Iterator

from orlop.api.errors import FieldError, forbidden_field, invalid_value, required
from orlop.api.types import core_v1
from orlop.apiserver.registry import names
from orlop.apiserver.registry.resources import unsupported

SYSTEMS = ("linux", "windows")
MAX_CREDENTIAL_KIB = 64
MAX_DOMAIN = 256
MAX_USER = 104
NOT_WINDOWS = "cannot be set for a windows pod"
NOT_LINUX = "windows options cannot be set for a linux pod"
USER = "runAsUserName's User"
DOMAIN = "runAsUserName's Domain"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NETBIOS = re.compile(r'^[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}\Z')
_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_DNS = re.compile(rf"^{_LABEL}(?:\.{_LABEL})*\Z")
_ONLY_DOTS = re.compile(r"^[. ]+\Z")
_BAD_USER = re.compile(r'["/\\:;|=,+*?<>@\[\]]')

_POD_FIELDS = (
    ("seccomp_profile", "seccompProfile"),
    ("fs_group", "fsGroup"),
    ("fs_group_change_policy", "fsGroupChangePolicy"),
    ("sysctls", "sysctls"),
)
_POD_IDENTITY = (
    ("run_as_user", "runAsUser"),
    ("run_as_group", "runAsGroup"),
    ("supplemental_groups", "supplementalGroups"),
    ("supplemental_groups_policy", "supplementalGroupsPolicy"),
    ("se_linux_change_policy", "seLinuxChangePolicy"),
)
_CONTAINER_FIELDS = (
    ("app_armor_profile", "appArmorProfile"),
    ("se_linux_options", "seLinuxOptions"),
    ("seccomp_profile", "seccompProfile"),
    ("capabilities", "capabilities"),
    ("read_only_root_filesystem", "readOnlyRootFilesystem"),
    ("privileged", "privileged"),
    ("allow_privilege_escalation", "allowPrivilegeEscalation"),
    ("proc_mount", "procMount"),
    ("run_as_user", "runAsUser"),
    ("run_as_group", "runAsGroup"),
)


def every(spec: core_v1.PodSpec, path: str) -> Iterator[tuple[core_v1.Container | core_v1.EphemeralContainer, str]]:
    """A pod's containers of all three kinds and their paths, in the order in which upstream visits them."""
    for i, container in enumerate(spec.init_containers):
        yield container, f"{path}.initContainers[{i}]"
    for i, container in enumerate(spec.containers):
        yield container, f"{path}.containers[{i}]"
    for i, temporary in enumerate(spec.ephemeral_containers):
        yield temporary, f"{path}.ephemeralContainers[{i}]"


def validate_os(spec: core_v1.PodSpec, path: str) -> list[FieldError]:
    """The system's name, and that nothing is asked of it that only the other one has."""
    if spec.os is None:
        return []
    if not spec.os.name:
        return [required(f"{path}.os.name")]
    if spec.os.name == "linux":
        return _linux(spec, path)
    if spec.os.name == "windows":
        return _windows(spec, path)
    return [unsupported(f"{path}.os", spec.os.name, SYSTEMS)]


def _linux(spec: core_v1.PodSpec, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if spec.security_context is not None and spec.security_context.windows_options is not None:
        errors.append(forbidden_field(f"{path}.securityContext.windowsOptions", NOT_LINUX))
    for container, where in every(spec, path):
        context = container.security_context
        if context is not None and context.windows_options is not None:
            errors.append(forbidden_field(f"{where}.securityContext.windowsOptions", NOT_LINUX))
    return errors


def _windows(spec: core_v1.PodSpec, path: str) -> list[FieldError]:
    context = spec.security_context or core_v1.PodSecurityContext()
    of_pod = f"{path}.securityContext"
    found = [
        (context.app_armor_profile is not None, f"{of_pod}.appArmorProfile"),
        (context.se_linux_options is not None, f"{of_pod}.seLinuxOptions"),
        (spec.host_users is not None, f"{path}.hostUsers"),
        (spec.host_pid, f"{path}.hostPID"),
        (spec.host_ipc, f"{path}.hostIPC"),
        *((getattr(context, a) not in (None, []), f"{of_pod}.{json}") for a, json in _POD_FIELDS),
        (spec.share_process_namespace is not None, f"{path}.shareProcessNamespace"),
        *((getattr(context, a) not in (None, []), f"{of_pod}.{json}") for a, json in _POD_IDENTITY),
    ]
    errors = [forbidden_field(where, NOT_WINDOWS) for given, where in found if given]
    for container, where in every(spec, path):
        if container.security_context is not None:
            errors += [
                forbidden_field(f"{where}.securityContext.{json}", NOT_WINDOWS)
                for attribute, json in _CONTAINER_FIELDS
                if getattr(container.security_context, attribute) is not None
            ]
    return errors


def validate(options: core_v1.WindowsSecurityContextOptions, path: str) -> list[FieldError]:
    """What is wrong with a security context's options for Windows."""
    errors: list[FieldError] = []
    name, credential = options.gmsa_credential_spec_name, options.gmsa_credential_spec
    if name is not None:
        errors += [invalid_value(f"{path}.gmsaCredentialSpecName", name, m) for m in names.subdomain(name)]
    if credential is not None:
        where = f"{path}.gmsaCredentialSpec"
        if not credential:
            errors.append(invalid_value(where, credential, "gmsaCredentialSpec cannot be an empty string"))
        elif len(credential.encode()) > MAX_CREDENTIAL_KIB * 1024:
            words = f"gmsaCredentialSpec size must be under {MAX_CREDENTIAL_KIB} KiB"
            errors.append(invalid_value(where, credential, words))
    if options.run_as_user_name is not None:
        user = options.run_as_user_name
        errors += [invalid_value(f"{path}.runAsUserName", user, m) for m in _user_name(user)]
    return errors


def _user_name(text: str) -> list[str]:
    """What is wrong with `DOMAIN\\USER` or `USER`."""
    if not text:
        return ["runAsUserName cannot be an empty string"]
    if _CONTROL.search(text):
        return ["runAsUserName cannot contain control characters"]
    if text.count("\\") > 1:
        return ["runAsUserName cannot contain more than one backslash"]
    domain, backslash, user = text.rpartition("\\")
    problems = []
    if len(domain) >= MAX_DOMAIN:
        problems.append(f"{DOMAIN} length must be under {MAX_DOMAIN} characters")
    if backslash and not _NETBIOS.match(domain) and not _DNS.match(domain):
        problems.append(f"{DOMAIN} doesn't match the NetBios nor the DNS format")
    if not user:
        problems.append(f"{USER} cannot be empty")
    elif len(user) > MAX_USER:
        problems.append(f"{USER} length must not be longer than {MAX_USER} characters")
    if _ONLY_DOTS.match(user):
        problems.append(f"{USER} cannot contain only periods or spaces")
    if _BAD_USER.search(user):
        problems.append(f'{USER} cannot contain the following characters: "/\\:;|=,+*?<>@[]')
    return problems


def _has_options(container: core_v1.Container | core_v1.EphemeralContainer) -> bool:
    return container.security_context is not None and container.security_context.windows_options is not None


def validate_host_process(spec: core_v1.PodSpec, path: str) -> list[FieldError]:
    """Containers that are processes of a Windows host: all of a pod's, and in the host's network."""
    context = spec.security_context
    of_pod = None
    if context is not None and context.windows_options is not None:
        of_pod = context.windows_options.host_process
    if of_pod is None and not any(_has_options(c) for c, _ in every(spec, path)):
        return []
    errors: list[FieldError] = []
    count = hosted = 0
    for container, where in every(spec, path):
        count += 1
        own = None
        if container.security_context is not None and container.security_context.windows_options is not None:
            own = container.security_context.windows_options.host_process
        if of_pod is not None and own is not None and of_pod != own:
            said = "true" if of_pod else "false"
            words = f"pod hostProcess value must be identical if both are specified, was {said}"
            errors.append(invalid_value(f"{where}.securityContext.windowsOptions.hostProcess", own, words))
        if own or (own is None and of_pod):
            hosted += 1
    if not hosted:
        return errors
    if hosted != count:
        words = "If pod contains any hostProcess containers then all containers must be HostProcess containers"
        errors.append(invalid_value(path, "", words))
    if not spec.host_network:
        words = "hostNetwork must be true if pod contains any hostProcess containers"
        errors.append(invalid_value(f"{path}.hostNetwork", False, words))
    return errors
