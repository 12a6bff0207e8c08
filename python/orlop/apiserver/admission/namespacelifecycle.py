"""NamespaceLifecycle: nothing new in a namespace that is missing or ending; the default ones stay."""

from orlop.api import errors, scheme
from orlop.api.types import core_v1, meta_v1
from orlop.apiserver.admission.base import Admission, Attributes

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})
MISSING_TRIES = 5
"""A namespace made a moment ago by another server may not be here yet: looked for this often."""
_NAMESPACE = scheme.by_resource("", "v1", "namespaces")
ALLOWED_WHILE_MISSING = frozenset({"authorization.k8s.io"})


class NamespaceLifecycle(Admission):
    """Refuses creates in missing (404) and terminating (403) namespaces and deletes of the immortal ones."""

    operations = ("CREATE", "UPDATE", "DELETE")
    subresources = None

    def handles(self, a: Attributes) -> bool:
        if a.kind.kind == "Namespace" and not a.kind.group:
            return a.operation == "DELETE"
        return a.kind.namespaced and a.operation == "CREATE" and a.kind.group not in ALLOWED_WHILE_MISSING

    def looks_at(self, a: Attributes) -> tuple[str, ...] | None:
        return ("namespaces",)

    async def admit(self, a: Attributes) -> None:
        if a.kind.kind == "Namespace" and not a.kind.group:
            if a.name in IMMORTAL:
                raise errors.forbidden("namespaces", "", a.name, "this namespace may not be deleted")
            return
        assert _NAMESPACE is not None
        found = self.objects.hub.get("namespaces", "", a.namespace)
        if found is None:
            raise errors.not_found("namespaces", "", a.namespace)
        if b'"phase":"Terminating"' not in found[0]:
            return
        namespace: core_v1.Namespace = self.objects.decode(_NAMESPACE, found[0])
        if namespace.status.phase != "Terminating":
            return
        error = errors.forbidden(
            a.kind.plural,
            a.kind.group,
            a.name,
            f"unable to create new content in namespace {a.namespace} because it is being terminated",
        )
        assert error.status.details is not None
        error.status.details.causes.append(
            meta_v1.StatusCause(
                reason="NamespaceTerminating",
                message=f"namespace {a.namespace} is being terminated",
                field="metadata.namespace",
            )
        )
        raise error
