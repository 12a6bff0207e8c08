"""Parameters of policies: the objects that a binding names. As pkg/admission/plugin/policy/generic's CollectParams."""

from typing import NamedTuple

from orlop.api.types import admissionregistration_v1 as types
from orlop.apiserver.admission.matching import selector_of
from orlop.apiserver.admission.shown import Shown, Version, Versions
from orlop.native import CelDocument


class Param(NamedTuple):
    """One parameter."""

    namespace: str
    name: str
    document: CelDocument


class Misconfigured(Exception):
    """There can be no parameters; `policy`: for none of its bindings."""

    def __init__(self, why: str, policy: bool = False) -> None:
        super().__init__(why)
        self.policy = policy


async def collect(
    versions: Versions, kind: types.ParamKind | None, ref: types.ParamRef | None, shown: Shown
) -> list[Param | None]:
    """The parameters with which a policy runs, once with each; None: with none. Raises Misconfigured."""
    if kind is None:
        return [None]
    version = versions.find(kind.api_version, kind.kind)
    if version is None:
        group, _, name = kind.api_version.rpartition("/")
        named = f"{group}/{name}, Kind={kind.kind}"
        raise Misconfigured(f"failed to find resource referenced by paramKind: '{named}'", policy=True)
    if ref is None:
        return [None]
    namespace = _namespace(version, ref, shown)
    found = await _found(versions, version, namespace, ref)
    if not found and ref.parameter_not_found_action == "Deny":
        raise Misconfigured("no params found for policy binding with `Deny` parameterNotFoundAction")
    return list(found)


def _namespace(version: Version, ref: types.ParamRef, shown: Shown) -> str:
    if not version.served.namespaced:
        if ref.namespace:
            raise Misconfigured("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
        return ""
    namespace = ref.namespace or shown.a.namespace
    if not namespace:
        raise Misconfigured("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources")
    return namespace


async def _found(versions: Versions, version: Version, namespace: str, ref: types.ParamRef) -> list[Param]:
    hub = versions.objects.hub
    resource = version.served.resource if version.conversion is None else version.conversion.stored.resource
    if ref.name:
        one = hub.get(resource, namespace, ref.name)
        values = [] if one is None else [one[0]]
    else:
        chosen = selector_of(ref.selector)
        values = hub.list(resource, namespace or None, str(chosen), "", 0, None).items
    if version.served.converter is not None:
        values = await version.served.converter.read(values)
    elif version.conversion is not None:
        values = [version.conversion.to_served(value) for value in values]
    named = ((versions.metadata(value), value) for value in values)
    return [Param(metadata.namespace, metadata.name, CelDocument(value)) for metadata, value in named]
