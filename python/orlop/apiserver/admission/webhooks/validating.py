"""ValidatingAdmissionWebhook: all at the same time, each shown the object as it will be stored."""

import asyncio

from orlop.api import errors
from orlop.apiserver.admission.deadline import remaining
from orlop.apiserver.admission.shown import Shown, Version
from orlop.apiserver.admission.webhooks import review
from orlop.apiserver.admission.webhooks.calls import Webhooks, out_of_time
from orlop.apiserver.admission.webhooks.configurations import Hook


class ValidatingWebhooks(Webhooks):
    """Asks the webhooks of ValidatingWebhookConfigurations."""

    mutating = False
    plural = "validatingwebhookconfigurations"

    async def validate(self, shown: Shown) -> None:
        """Lets each refuse the object. Raises the first refusal, when all have answered."""
        called: list[tuple[int, Hook, Version]] = []
        for i, hook in enumerate(self.configurations.hooks()):
            version = await self.wanted(hook, shown)
            if version is not None:
                await self.prepare(shown, version)
                called.append((i, hook, version))
        if not called:
            return
        if remaining(shown.a, self.clock) <= 0:
            raise out_of_time()
        refusals: list[errors.ApiError] = []

        async def one(i: int, hook: Hook, version: Version) -> None:
            try:
                try:
                    with self.counted(hook, shown.a):
                        await self.ask(hook, shown, version)
                except review.CallFailed as failure:
                    self.failed(hook, shown, failure, f"validating.webhook.admission.k8s.io/round_0_index_{i}")
            except errors.ApiError as refusal:
                refusals.append(refusal)

        if len(called) == 1:
            await one(*called[0])
        else:
            async with asyncio.TaskGroup() as group:
                for i, hook, version in called:
                    group.create_task(one(i, hook, version))
        if refusals:
            raise refusals[0]
