"""MutatingAdmissionPolicy (KEP-3962). As k8s.io/apiserver's pkg/admission/plugin/policy/mutating."""

from functools import partial
from typing import Any

import msgspec

from orlop import native
from orlop.api.types import admissionregistration_v1 as types
from orlop.apiserver import jsonpatches
from orlop.apiserver.admission import metrics
from orlop.apiserver.admission.expressions import BUDGET, Asker, Broken, Compiled, documents
from orlop.apiserver.admission.metrics import ADMIT
from orlop.apiserver.admission.policies.policies import NO_ERROR, Policies, Trouble, Use, add, error_type, refusal
from orlop.apiserver.admission.reinvocation import Reinvocation
from orlop.apiserver.admission.shown import Shown

MANAGER = ("admission-policy", "", "", "1970-01-01T00:00:00Z", list[str]())
"""Who applies a configuration: its entry is thrown away, for what admission changes nobody owns."""


class Mutator(Compiled):
    """The expressions of one policy, one for each mutation."""

    def __init__(self, spec: types.MutatingAdmissionPolicySpec) -> None:
        super().__init__(spec.variables, [_expression(mutation) for mutation in spec.mutations])


def _expression(mutation: types.Mutation) -> str:
    part = mutation.json_patch if mutation.patch_type == "JSONPatch" else mutation.apply_configuration
    return "" if part is None else part.expression


class MutatingPolicies(Policies[Mutator]):
    """Runs MutatingAdmissionPolicies, one after the other."""

    plural = "mutatingadmissionpolicies"
    bindings = "mutatingadmissionpolicybindings"
    step = ADMIT

    def compile(self, spec: types.MutatingAdmissionPolicySpec) -> Mutator:
        return Mutator(spec)

    async def admit(self, shown: Shown, turn: Reinvocation) -> None:
        """Lets each change the object. Raises what a failure comes to."""
        turn.begin(shown)
        troubles: list[Trouble] = []
        asker = Asker(self.authorizer, shown.a.user, self.clock)
        for use in [use async for use in self.uses(shown, troubles)]:
            await self._run(use, shown, asker, troubles, turn)
        turn.end(shown)
        if troubles:
            raise refusal(shown, troubles[0], "policy")

    async def _run(self, use: Use, shown: Shown, asker: Asker, troubles: list[Trouble], turn: Reinvocation) -> None:
        policy = use.policy
        await shown.prepare(use.version)
        param = None if use.param is None else use.param.document
        about = partial(documents, shown, use.version, param, namespace=True)
        try:
            if not policy.conditions.hold(asker, about, shown.a.operation):
                return
        except Broken as broken:
            add(troubles, policy, use.binding, str(broken))
            return
        which = "" if use.param is None else f"{use.param.namespace}/{use.param.name}"
        uid = f"{policy.name}\0{use.binding.name}\0{which}"
        if turn.skips(uid):
            return
        before = shown.object(use.version)
        mutator: Mutator = policy.expressions
        for i, mutation in enumerate(policy.spec.mutations):
            present = shown.object(use.version)
            if present is None:
                break
            began = self.clock.monotonic()
            (result,), _ = asker.evaluate(mutator, [i], about(), BUDGET)
            error = NO_ERROR
            try:
                if result.kind != "value":
                    raise Broken(result.error)
                await shown.replace(use.version, _mutated(use, mutation.patch_type, present, result.value))
            except Broken as wrong:
                error = error_type(str(wrong))
                add(troubles, policy, use.binding, str(wrong))
            labels = (policy.name, use.binding.name, error)
            metrics.MUTATING_CHECKS.labels(*labels).inc()
            metrics.MUTATING_SECONDS.labels(*labels).observe(self.clock.monotonic() - began)
        changed = shown.object(use.version) != before
        turn.asked(uid, changed=changed, if_needed=policy.spec.reinvocation_policy == "IfNeeded")


UNTYPED = "error applying patch: failed to convert patch object to typed object: "


def _typed(type_key: str, configuration: dict[str, Any]) -> None:
    """What is applied has the fields of its kind. Raises Broken."""
    try:
        _, unknown, _ = native.wire_decode(type_key, "json", msgspec.json.encode(configuration))
    except native.WireError as error:
        raise Broken(f"{UNTYPED}{error}") from None
    if unknown:
        field = unknown[0].partition('"')[2].rstrip('"')
        raise Broken(f"{UNTYPED}.{field}: field not declared in schema")


def _mutated(use: Use, how: str, present: bytes, value: Any) -> bytes:
    """The object after one mutation. Raises Broken."""
    if how == "JSONPatch":
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise Broken("type mismatch: JSONPatchType.expression should evaluate to array")
        try:
            return jsonpatches.done(present, value)
        except jsonpatches.TestFailed:
            return present  # as upstream: the patch is for another object
        except (jsonpatches.DoesNotApply, RecursionError) as error:
            raise Broken(f"JSON Patch: {error}") from None
    if not isinstance(value, dict):
        raise Broken("must evaluate to Object")
    kind = use.version.served
    configuration = {"apiVersion": kind.api_version, "kind": kind.kind, **value}
    _typed(kind.type_key, configuration)
    tree = msgspec.json.decode(present)
    owners = tree["metadata"].pop("managedFields", None)
    try:
        done, _ = native.wire_apply(
            kind.type_key,
            msgspec.json.encode(tree),
            msgspec.json.encode(configuration),
            (MANAGER[0], kind.api_version, *MANAGER[2:]),
            True,
        )
    except native.WireError as error:
        raise Broken(f"invalid ApplyConfiguration: {error}") from None
    if done is None:
        raise Broken("invalid ApplyConfiguration: conflict")
    merged = msgspec.json.decode(done[0])
    merged["metadata"].pop("managedFields", None)
    if owners is not None:
        merged["metadata"]["managedFields"] = owners
    return msgspec.json.encode(merged)
