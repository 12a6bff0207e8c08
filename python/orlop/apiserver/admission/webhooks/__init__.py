"""Admission webhooks: servers that are shown writes, and change or refuse them."""

from orlop.apiserver.admission.webhooks.mutating import MutatingWebhooks
from orlop.apiserver.admission.webhooks.validating import ValidatingWebhooks

__all__ = ["MutatingWebhooks", "ValidatingWebhooks"]
