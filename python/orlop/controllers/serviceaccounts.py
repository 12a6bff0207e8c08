"""Every active namespace has its `default` ServiceAccount (pkg/controller/serviceaccount)."""

from orlop.api import errors
from orlop.api.types import core_v1, meta_v1
from orlop.control.builder import Builder
from orlop.control.controller import Controller, Key, Result

DEFAULT = "default"


class ServiceAccountsController(Controller):
    """Makes the account again when it is deleted."""

    name = "serviceaccount-controller"
    account = "service-account-controller"

    def setup(self, builder: Builder) -> None:
        self.namespaces = builder.for_(core_v1.Namespace)
        self.accounts = builder.watches(
            core_v1.ServiceAccount,
            lambda a: [Key("", a.metadata.namespace)] if a.metadata.name == DEFAULT else [],
            fields=f"metadata.name={DEFAULT}",
        )

    async def reconcile(self, key: Key) -> Result | None:
        namespace = self.namespaces.get("", key.name)
        if namespace is None or namespace.status.phase == "Terminating" or self.accounts.get(key.name, DEFAULT):
            return None
        account = core_v1.ServiceAccount(metadata=meta_v1.ObjectMeta(name=DEFAULT, namespace=key.name))
        try:
            await self.context.client.create(account)
        except (errors.AlreadyExists, errors.NotFound):
            pass  # another was faster, or the namespace is gone
        except errors.Forbidden as error:
            # The namespace began to end meanwhile.
            if not is_terminating(error):
                raise
        return None


def is_terminating(error: errors.ApiError) -> bool:
    """Whether a create was refused because its namespace is being deleted."""
    details = error.status.details
    return details is not None and any(c.reason == "NamespaceTerminating" for c in details.causes)
