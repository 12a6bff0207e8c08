"""What became of events, under upstream's names."""

from prometheus_client import Counter

from orlop.metrics import REGISTRY

EVENTS = Counter(
    "apiserver_audit_event_total",
    "Counter of audit events generated and sent to the audit backend.",
    registry=REGISTRY,
)
ERRORS = Counter(
    "apiserver_audit_error_total",
    "Counter of audit events that failed to be audited properly. Plugin identifies the plugin affected by the error.",
    ["plugin"],
    registry=REGISTRY,
)
LEVELS = Counter(
    "apiserver_audit_level_total",
    "Counter of policy levels for audit events (1 per request).",
    ["level"],
    registry=REGISTRY,
)
REJECTED = Counter(
    "apiserver_audit_requests_rejected_total",
    "Counter of apiserver requests rejected due to an error in audit logging backend.",
    registry=REGISTRY,
)
