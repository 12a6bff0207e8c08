"""What webhooks and policies did and how long it took, under upstream's names.

As k8s.io/apiserver's pkg/admission/metrics and pkg/admission/plugin/policy/{validating,mutating}/metrics. Nothing is
counted where nothing is configured: built-in plug-ins take less time than it would take to say so.
"""

from collections.abc import Iterator

from prometheus_client import Counter, Histogram
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from orlop.metrics import REGISTRY

ADMIT, VALIDATE = "admit", "validate"
"""What upstream calls the two steps of admission."""
_WEBHOOK = ["name", "type", "operation"]
_CONDITION = ["name", "kind", "type", "operation"]
_SECONDS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5)
_CHECKS = (0.0000005, 0.001, 0.01, 0.1, 1.0)


class Tally(Collector):
    """A counter whose name does not end in `_total`, which prometheus_client has no form for: untyped."""

    def __init__(self, name: str, words: str, labels: list[str]) -> None:
        self._name = name
        self._words = words
        self._labels = labels
        self._counts: dict[tuple[str, ...], int] = {}
        REGISTRY.register(self)

    def inc(self, *labels: str) -> None:
        """One more."""
        self._counts[labels] = self._counts.get(labels, 0) + 1

    def collect(self) -> Iterator[Metric]:
        family = Metric(self._name, self._words, "unknown")
        for labels, count in list(self._counts.items()):
            family.add_sample(self._name, dict(zip(self._labels, labels, strict=True)), count)
        yield family


WEBHOOK_SECONDS = Histogram(
    "apiserver_admission_webhook_admission_duration_seconds",
    "Admission webhook latency histogram in seconds, identified by name and broken out for each operation and API "
    "resource and type (validate or admit).",
    [*_WEBHOOK, "rejected"],
    buckets=(*_SECONDS, 10, 25),
    registry=REGISTRY,
)
WEBHOOK_REQUESTS = Counter(
    "apiserver_admission_webhook_request_total",
    "Admission webhook request total, identified by name and broken out for each admission type (validating or "
    "mutating) and operation. Additional labels specify whether the request was rejected or not and an HTTP status "
    "code. Codes greater than 600 are truncated to 600, to keep the metrics cardinality bounded.",
    [*_WEBHOOK, "code", "rejected"],
    registry=REGISTRY,
)
WEBHOOK_REJECTIONS = Tally(
    "apiserver_admission_webhook_rejection_count",
    "Admission webhook rejection count, identified by name and broken out for each admission type (validating or "
    "admit) and operation, with an error type and the code of the rejection.",
    [*_WEBHOOK, "error_type", "rejection_code"],
)
WEBHOOKS_FAILED_OPEN = Tally(
    "apiserver_admission_webhook_fail_open_count",
    "Admission webhook fail open count, identified by name and broken out for each admission type (validating or "
    "mutating).",
    ["name", "type"],
)
CONDITION_ERRORS = Counter(
    "apiserver_admission_match_condition_evaluation_errors_total",
    "Admission match condition evaluation errors count, identified by name of resource containing the match condition "
    "and broken out for each kind containing matchConditions (webhook or policy), operation and admission type "
    "(validate or admit).",
    _CONDITION,
    registry=REGISTRY,
)
CONDITION_EXCLUSIONS = Counter(
    "apiserver_admission_match_condition_exclusions_total",
    "Admission match condition evaluation exclusions count, identified by name of resource containing the match "
    "condition and broken out for each kind containing matchConditions (webhook or policy), operation and admission "
    "type (validate or admit).",
    _CONDITION,
    registry=REGISTRY,
)
CONDITION_SECONDS = Histogram(
    "apiserver_admission_match_condition_evaluation_seconds",
    "Admission match condition evaluation time in seconds, identified by name and broken out for each kind containing "
    "matchConditions (webhook or policy), operation and type (validate or admit).",
    _CONDITION,
    buckets=_SECONDS,
    registry=REGISTRY,
)
VALIDATING_CHECKS = Counter(
    "apiserver_validating_admission_policy_check_total",
    "Validation admission policy check total, labeled by policy and further identified by binding and enforcement "
    "action taken.",
    ["policy", "policy_binding", "error_type", "enforcement_action"],
    registry=REGISTRY,
)
VALIDATING_SECONDS = Histogram(
    "apiserver_validating_admission_policy_check_duration_seconds",
    "Validation admission latency for individual validation expressions in seconds, labeled by policy and further "
    "including binding and enforcement action taken.",
    ["policy", "policy_binding", "error_type", "enforcement_action"],
    buckets=_CHECKS,
    registry=REGISTRY,
)
MUTATING_CHECKS = Counter(
    "apiserver_mutating_admission_policy_check_total",
    "Mutation admission policy check total, labeled by policy and further identified by binding.",
    ["policy", "policy_binding", "error_type"],
    registry=REGISTRY,
)
MUTATING_SECONDS = Histogram(
    "apiserver_mutating_admission_policy_check_duration_seconds",
    "Mutation admission latency for individual mutation expressions in seconds, labeled by policy and binding.",
    ["policy", "policy_binding", "error_type"],
    buckets=_CHECKS,
    registry=REGISTRY,
)
