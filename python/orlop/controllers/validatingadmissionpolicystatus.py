"""Checks the expressions of ValidatingAdmissionPolicies against the types of what they match, and says so in status.

Upstream: pkg/controller/validatingadmissionpolicystatus, and the TypeChecker of k8s.io/apiserver's
pkg/admission/plugin/policy/validating. Warnings change nothing in how a policy works.
"""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import msgspec

from orlop import native
from orlop.api.types import admissionregistration_v1 as types
from orlop.client import discovery
from orlop.client.decode import error_of
from orlop.client.openapi import Schemas
from orlop.control import Builder, Controller, Key, Result

MAX_TYPES = 10
"""Kinds that one policy is checked against (maxTypesToCheck)."""
MANAGER = "validatingadmissionpolicy-status"

Policy = types.ValidatingAdmissionPolicy


class GroupVersionKind(NamedTuple):
    """Sorted as upstream sorts them."""

    group: str
    version: str
    kind: str

    def __str__(self) -> str:
        return f"{self.group}/{self.version}, Kind={self.kind}"


class ValidatingAdmissionPolicyStatusController(Controller):
    """One policy a key; looked at once a generation, as upstream."""

    name = "validatingadmissionpolicy-status-controller"

    def setup(self, builder: Builder) -> None:
        self.policies = builder.for_(Policy)
        builder.workers(1)  # schemas are large, and nobody waits

    async def reconcile(self, key: Key) -> Result | None:
        policy = self.policies.get(*key)
        if policy is None or policy.metadata.generation <= policy.status.observed_generation:
            return None
        warnings = await self._warnings(policy)
        checked = {"expressionWarnings": warnings} if warnings else {}
        body = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": key.name},
            "status": {"observedGeneration": policy.metadata.generation, "typeChecking": checked},
        }
        response = await self.context.client.request(
            "PATCH",
            f"/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/{key.name}/status",
            query={"fieldManager": MANAGER, "force": "true"},
            body=msgspec.json.encode(body),
            headers={"content-type": "application/apply-patch+yaml"},
        )
        if response.status >= 400 and response.status != 404:
            raise error_of(response)
        return None

    async def _warnings(self, policy: Policy) -> list[dict[str, str]]:
        """ExpressionWarnings: a place, and for each kind what is wrong there."""
        spec = policy.spec
        places = list(_expressions(spec))
        schemas = Schemas(self.context.client)
        params: bytes | None = None
        if spec.param_kind is not None:
            params = await schemas.of(spec.param_kind.api_version, spec.param_kind.kind) or b""
        variables = [(v.name, v.expression) for v in spec.variables]
        found: dict[str, list[str]] = {}
        for gvk in await self._kinds(spec.match_constraints):
            schema = await schemas.of(f"{gvk.group}/{gvk.version}" if gvk.group else gvk.version, gvk.kind)
            if schema is None:
                continue
            issues = native.cel_issues([text for _, text in places], schema, params, variables)
            for (place, _), issue in zip(places, issues, strict=True):
                if issue is not None:
                    found.setdefault(place, []).append(f"{gvk}: {issue}\n")
        return [{"fieldRef": place, "warning": "\n".join(found[place])} for place, _ in places if place in found]

    async def _kinds(self, match: types.MatchResources | None) -> list[GroupVersionKind]:
        """The kinds that the rules name; a rule with a wildcard for its group or version names none."""
        rules = match.resource_rules if match is not None else []
        if not any(_named(rule) for rule in rules):
            return []
        served = await discovery.resources(self.context.client)
        found: set[GroupVersionKind] = set()
        for rule in rules:
            count = 0
            for group, version, plural in _named(rule):
                if (kind := served.get((group, version, plural))) is None:
                    continue
                found.add(GroupVersionKind(group, version, kind))
                count += 1
                if count == MAX_TYPES:
                    return sorted(found)
        return sorted(found)


def _named(rule: types.NamedRuleWithOperations) -> list[tuple[str, str, str]]:
    if any("*" in name for name in (*rule.api_groups, *rule.api_versions)):
        return []
    plain = [resource for resource in rule.resources if "*" not in resource and "/" not in resource]
    return list(product(sorted(rule.api_groups), sorted(rule.api_versions), sorted(plain)))


def _expressions(spec: types.ValidatingAdmissionPolicySpec) -> Iterator[tuple[str, str]]:
    """What is checked, with its place: validations and their messages."""
    for i, validation in enumerate(spec.validations):
        yield f"spec.validations[{i}].expression", validation.expression
        if validation.message_expression:
            yield f"spec.validations[{i}].messageExpression", validation.message_expression
