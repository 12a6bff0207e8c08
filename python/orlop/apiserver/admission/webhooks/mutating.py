"""MutatingAdmissionWebhook: one after the other, each shown what those before it have made of the object."""

from typing import Any

import msgspec

from orlop.api import errors
from orlop.api.types import admission_v1, admissionregistration_v1 as types, meta_v1
from orlop.apiserver import gojson, jsonpatches
from orlop.apiserver.admission.reinvocation import Reinvocation
from orlop.apiserver.admission.shown import Shown, Version
from orlop.apiserver.admission.webhooks import review
from orlop.apiserver.admission.webhooks.calls import Webhooks
from orlop.apiserver.admission.webhooks.configurations import Hook


class MutatingWebhooks(Webhooks):
    """Asks the webhooks of MutatingWebhookConfigurations, in the order of the configurations' names."""

    mutating = True
    plural = "mutatingwebhookconfigurations"

    async def admit(self, shown: Shown, turn: Reinvocation) -> None:
        """Lets each change the object. Raises what a refusal, or a failure that counts as one, comes to."""
        turn.begin(shown)
        for i, hook in enumerate(self.configurations.hooks()):
            version = await self.wanted(hook, shown)
            if version is None or turn.skips(hook.uid):
                continue
            webhook = hook.webhook
            assert isinstance(webhook, types.MutatingWebhook)
            await self.prepare(shown, version)
            changed, at = False, f"webhook.admission.k8s.io/round_{int(turn.again)}_index_{i}"
            try:
                with self.counted(hook, shown.a):
                    changed = await _patched(hook, shown, version, await self.ask(hook, shown, version), f"patch.{at}")
            except review.CallFailed as failure:
                self.failed(hook, shown, failure, f"mutation.{at}")
            finally:
                told = {"configuration": hook.configuration, "webhook": hook.name, "mutated": changed}
                shown.a.annotations.setdefault(f"mutation.{at}", msgspec.json.encode(told).decode())
            turn.asked(hook.uid, changed=changed, if_needed=webhook.reinvocation_policy == "IfNeeded")
        turn.end(shown)


async def _patched(
    hook: Hook, shown: Shown, version: Version, response: admission_v1.AdmissionResponse, at: str
) -> bool:
    """Does to the object what the webhook says; whether that changed it. The patch is noted `at`.

    Raises CallFailed, InternalError.
    """
    if not response.patch:
        return False
    try:
        operations = jsonpatches.operations(response.patch)
    except errors.ApiError as error:
        why = error.message.removeprefix("error decoding patch: ").replace("[]handlers.jsonPatchOp", "jsonpatch.Patch")
        if why == jsonpatches.MALFORMED:
            why = gojson.malformed(response.patch)
        reason = f"received undecodable patch in webhook response: {why}"
        raise review.CallFailed(hook.name, reason) from None
    if not operations:
        return False
    before = shown.object(version)
    if before is None:
        why = (
            f'admission webhook "{hook.name}" attempted to modify the object, which is not supported for this operation'
        )
        raise errors.InternalError(f"Internal error occurred: {why}")
    if response.patch_type != review.JSON_PATCH:
        raise review.CallFailed(hook.name, f'unsupported patch type "{response.patch_type}"')
    try:
        after = jsonpatches.done(before, operations)
    except (jsonpatches.DoesNotApply, RecursionError) as error:
        raise _internal(str(error)) from None
    _of_its_kind(before, after, (shown.a.body or version.served).folder)
    await shown.replace(version, after)
    recorded = None if shown.a.request is None else shown.a.request.audit
    if recorded is not None and recorded.objects:
        told: dict[str, Any] = {"configuration": hook.configuration, "webhook": hook.name}
        told |= {"patch": [dict(sorted(o.items())) for o in msgspec.json.decode(response.patch)]}
        told |= {"patchType": response.patch_type}
        shown.a.annotations.setdefault(at, msgspec.json.encode(told).decode())
    return shown.object(version) != before


def _internal(why: str) -> errors.InternalError:
    details = meta_v1.StatusDetails(causes=[meta_v1.StatusCause(message=why)])
    return errors.InternalError(f"Internal error occurred: {why}", details=details)


class _Typed(msgspec.Struct, rename="camel"):
    api_version: str = ""
    kind: str = ""


def _of_its_kind(before: bytes, after: bytes, folder: str) -> None:
    """No patch makes something else of an object; `folder` is its package as Go's type names it. Raises ApiError."""
    try:
        was, now = (msgspec.json.decode(text, type=_Typed) for text in (before, after))
    except msgspec.ValidationError as error:
        raise _internal(str(error)) from None
    if was != now:
        why = f"converting ({now.api_version}.{now.kind}) to ({folder}.{was.kind}): unknown conversion"
        raise errors.ApiError(why, code=500, reason="")
