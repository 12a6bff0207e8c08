"""Who did what: an event of audit.k8s.io/v1 for each stage of a request, as a policy wants it, in a file or sent to a
webhook.

The meaning is that of k8s.io/apiserver's pkg/audit, pkg/endpoints/filters/audit.go and plugin/pkg/audit. Without a
policy file there is no `Auditor`, and requests pay one look at an attribute for it.
"""

from orlop.apiserver.audit.auditor import Auditor as Auditor
from orlop.apiserver.audit.record import Record as Record
from orlop.apiserver.audit.settings import (
    AuditError as AuditError,
    AuditSettings as AuditSettings,
    BatchSettings as BatchSettings,
    LogSettings as LogSettings,
    TruncateSettings as TruncateSettings,
    WebhookSettings as WebhookSettings,
)
