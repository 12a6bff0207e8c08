"""Policies and their bindings."""

from typing import Any

from tests.apiserver.conftest import Api

GROUP = "/apis/admissionregistration.k8s.io/v1"
VALIDATING = f"{GROUP}/validatingadmissionpolicies"
VALIDATING_BINDINGS = f"{GROUP}/validatingadmissionpolicybindings"
MUTATING = f"{GROUP}/mutatingadmissionpolicies"
MUTATING_BINDINGS = f"{GROUP}/mutatingadmissionpolicybindings"


def rule(*resources: str, operations: tuple[str, ...] = ("CREATE", "UPDATE"), group: str = "*") -> dict[str, Any]:
    return {"apiGroups": [group], "apiVersions": ["*"], "operations": list(operations), "resources": list(resources)}


def constraints(*resources: str, **more: Any) -> dict[str, Any]:
    return {"matchConstraints": {"resourceRules": [rule(*resources)], **more}}


async def validating(
    api: Api, name: str, spec: dict[str, Any], actions: tuple[str, ...] = ("Deny",), **binding: Any
) -> None:
    """A policy and its binding."""
    await api.made(VALIDATING, {"metadata": {"name": name}, "spec": spec})
    bound = {"policyName": name, "validationActions": list(actions), **binding}
    await api.made(VALIDATING_BINDINGS, {"metadata": {"name": f"{name}-b"}, "spec": bound})


async def mutating(api: Api, name: str, spec: dict[str, Any], **binding: Any) -> None:
    """A policy and its binding."""
    spec = {"reinvocationPolicy": "Never", **spec}
    await api.made(MUTATING, {"metadata": {"name": name}, "spec": spec})
    await api.made(MUTATING_BINDINGS, {"metadata": {"name": f"{name}-b"}, "spec": {"policyName": name, **binding}})
