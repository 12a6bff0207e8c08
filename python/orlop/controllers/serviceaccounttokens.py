"""Tokens in Secrets, for those who ask for one that does not end (pkg/controller/serviceaccount, TokensController).

A Secret of type kubernetes.io/service-account-token names a ServiceAccount: it gets a token of that account, the
namespace and the cluster's CA, and goes when the account goes.
"""

from contextlib import suppress

import msgspec

from orlop.api import errors
from orlop.api.types import core_v1
from orlop.control.builder import Builder
from orlop.control.controller import Controller, Key, Result, key_of
from orlop.pki import signing

TYPE = "kubernetes.io/service-account-token"
NAME = "kubernetes.io/service-account.name"
UID = "kubernetes.io/service-account.uid"
ISSUER = "kubernetes/serviceaccount"
CLAIM = "kubernetes.io/serviceaccount/"


class ServiceAccountTokensController(Controller):
    """One Secret a key."""

    name = "serviceaccount-token-controller"
    account = None

    def __init__(self, key: bytes, root_ca: bytes) -> None:
        """`key`: the private key that the API server trusts, PEM."""
        self._pem = key
        self._key: signing.Signer | None = None
        self.root_ca = root_ca

    def setup(self, builder: Builder) -> None:
        self.secrets = builder.for_(
            core_v1.Secret,
            fields=f"type={TYPE}",
            indexers={"account": lambda s: [_account(s)]},
        )
        self.accounts = builder.watches(
            core_v1.ServiceAccount,
            lambda account: map(key_of, self.secrets.by_index("account", str(key_of(account)))),
            changed=lambda old, new: False,
            indexers={"secret": lambda a: [f"{a.metadata.namespace}/{s.name}" for s in a.secrets]},
        )

    async def reconcile(self, key: Key) -> Result | None:
        secret = self.secrets.get(*key)
        if secret is None:
            for account in self.accounts.by_index("secret", str(key)):
                await self._forget(account, key.name)
            return None
        if secret.metadata.deletion_timestamp is not None:
            return None
        account_found = await self._account_of(secret)
        if account_found is None:
            with suppress(errors.NotFound, errors.Conflict):  # gone, or another of that name
                await self.context.client.delete(core_v1.Secret, key.name, key.namespace, uid=secret.metadata.uid)
            return None
        data = self._data(secret, account_found)
        if data != secret.data or secret.metadata.annotations.get(UID) != account_found.metadata.uid:
            annotations = {**secret.metadata.annotations, UID: account_found.metadata.uid}
            metadata = msgspec.structs.replace(secret.metadata, annotations=annotations)
            with suppress(errors.NotFound):
                await self.context.client.update(msgspec.structs.replace(secret, metadata=metadata, data=data))
        return None

    async def _account_of(self, secret: core_v1.Secret) -> core_v1.ServiceAccount | None:
        """The account that the Secret names. That it is not there the server has to say, not a cache."""
        meta = secret.metadata
        name, uid = meta.annotations.get(NAME, ""), meta.annotations.get(UID, "")
        found = self.accounts.get(meta.namespace, name)
        if found is None or (uid and found.metadata.uid != uid):
            try:
                found = await self.context.client.get(core_v1.ServiceAccount, name, meta.namespace)
            except errors.NotFound:
                return None
        return found if not uid or found.metadata.uid == uid else None

    def _data(self, secret: core_v1.Secret, account: core_v1.ServiceAccount) -> dict[str, bytes]:
        """The Secret's data with what is missing of it."""
        data = dict(secret.data)
        if self.root_ca:
            data["ca.crt"] = self.root_ca
        data["namespace"] = data.get("namespace") or secret.metadata.namespace.encode()
        data["token"] = data.get("token") or self._sign(secret, account).encode()
        return data

    def _sign(self, secret: core_v1.Secret, account: core_v1.ServiceAccount) -> str:
        """A token without an end: it counts as long as its Secret and its account are there."""
        if self._key is None:
            self._key = signing.load(self._pem)
        namespace, name = secret.metadata.namespace, account.metadata.name
        return self._key.sign(
            {
                "iss": ISSUER,
                f"{CLAIM}namespace": namespace,
                f"{CLAIM}secret.name": secret.metadata.name,
                f"{CLAIM}service-account.name": name,
                f"{CLAIM}service-account.uid": account.metadata.uid,
                "sub": f"system:serviceaccount:{namespace}:{name}",
            },
        )

    async def _forget(self, account: core_v1.ServiceAccount, secret: str) -> None:
        """The account no longer lists a Secret that is gone."""
        kept = [ref for ref in account.secrets if ref.name != secret]
        with suppress(errors.NotFound):
            await self.context.client.update(msgspec.structs.replace(account, secrets=kept))


def _account(secret: core_v1.Secret) -> str:
    return f"{secret.metadata.namespace}/{secret.metadata.annotations.get(NAME, '')}"
