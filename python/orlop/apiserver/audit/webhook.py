"""The audit webhook: EventLists sent to the server that a kubeconfig names."""

from collections.abc import Sequence

from orlop.apiserver.audit.settings import AuditError, WebhookSettings
from orlop.client import kubeconfig
from orlop.client.tls import TLSTransport
from orlop.client.transport import Unreachable
from orlop.clock import Clock

TRIES = 5
FACTOR = 1.5
JITTER = 0.2
"""How often a list is sent before it is given up, and how the time between grows: upstream's."""
AGAIN = frozenset({429, 500, 502, 503, 504})
HEAD = b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":['


class Webhook:
    """Sends lists of events, again where the server does not take them."""

    name = "webhook"

    def __init__(self, settings: WebhookSettings, clock: Clock) -> None:
        """Raises AuditError for a kubeconfig that cannot be used."""
        self._settings = settings
        self._clock = clock
        try:
            config = kubeconfig.load(settings.config_file)
        except kubeconfig.KubeconfigError as error:
            raise AuditError(f"--audit-webhook-config-file: {error}") from error
        self._transport = TLSTransport(config, clock)

    async def write(self, events: Sequence[bytes]) -> None:
        """Raises OSError with the last reason."""
        body = HEAD + b",".join(events) + b"]}"
        headers = {"content-type": "application/json", "accept": "application/json", "user-agent": "kube-apiserver"}
        wait, why = self._settings.initial_backoff, ""
        for i in range(TRIES):
            if i:
                await self._clock.sleep(wait * (1 + JITTER * self._clock.random.random()))
                wait *= FACTOR
            try:
                # The path is the kubeconfig's own, which the transport puts before this.
                answer = await self._transport.request("POST", "", headers, body)
            except Unreachable as error:
                why = str(error)
                continue
            if answer.status < 300:
                return
            why = f"the server answered {answer.status}"
            if answer.status not in AGAIN:
                break
        raise OSError(why)

    async def close(self) -> None:
        await self._transport.close()
