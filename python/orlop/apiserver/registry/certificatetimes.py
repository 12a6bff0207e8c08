"""When conditions of certificate requests came about: the server's time, where whoever sets them does not say.

Upstream: populateConditionTimestamps in pkg/registry/certificates.
"""

from typing import Any

from orlop.api.types import certificates_v1
from orlop.apiserver.registry.transactions import Hooks, Transaction
from orlop.clock import Clock, rfc3339

REQUESTS, POD_REQUESTS = "certificates.k8s.io/certificatesigningrequests", "certificates.k8s.io/podcertificaterequests"


class ConditionTimes(Hooks):
    """Of CertificateSigningRequests and of PodCertificateRequests."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def update(self, new: Any, old: Any, dry_run: bool) -> Transaction | None:
        if new.status.conditions == old.status.conditions:
            return None
        now = rfc3339(self._clock.now())
        since = {(c.type, c.status): c.last_transition_time for c in reversed(old.status.conditions)}
        for condition in new.status.conditions:
            if isinstance(condition, certificates_v1.CertificateSigningRequestCondition):
                condition.last_update_time = condition.last_update_time or now
            if not condition.last_transition_time:
                condition.last_transition_time = since.get((condition.type, condition.status)) or now
        return None
