"""Admission: what may change or refuse a write between access and validation. The order stands in `PLUGINS`."""

from collections.abc import Awaitable, Callable
from typing import Any

from orlop.apiserver.admission.base import Admission, Attributes
from orlop.apiserver.admission.certificates import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
    ClusterTrustBundleAttest,
)
from orlop.apiserver.admission.defaultstorageclass import DefaultStorageClass
from orlop.apiserver.admission.defaulttolerationseconds import DefaultTolerationSeconds
from orlop.apiserver.admission.limitranger import LimitRanger
from orlop.apiserver.admission.namespacelifecycle import NamespaceLifecycle
from orlop.apiserver.admission.noderestriction import NodeRestriction
from orlop.apiserver.admission.persistentvolumeclaimresize import PersistentVolumeClaimResize
from orlop.apiserver.admission.priority import Priority
from orlop.apiserver.admission.rbacescalation import RbacEscalation
from orlop.apiserver.admission.serviceaccount import ServiceAccount
from orlop.apiserver.admission.storageobjectinuseprotection import StorageObjectInUseProtection
from orlop.apiserver.admission.taintnodesbycondition import TaintNodesByCondition
from orlop.apiserver.auth import Authorizer
from orlop.apiserver.config import Config
from orlop.apiserver.registry.objects import Objects
from orlop.clock import Clock

PLUGINS: list[type[Admission]] = [
    NamespaceLifecycle,
    LimitRanger,
    ServiceAccount,
    NodeRestriction,
    TaintNodesByCondition,
    Priority,
    DefaultTolerationSeconds,
    StorageObjectInUseProtection,
    DefaultStorageClass,
    PersistentVolumeClaimResize,
    CertificateApproval,
    CertificateSigning,
    ClusterTrustBundleAttest,
    CertificateSubjectRestriction,
    RbacEscalation,
]
"""Upstream's recommended order (pkg/kubeapiserver/options/plugins.go), of those that exist here; each has upstream's
name. ResourceQuota comes after all of them: it charges within the write itself (`resourcequota`)."""

ALWAYS = frozenset({RbacEscalation.__name__})
"""What upstream does elsewhere than in admission: it cannot be turned off."""

Step = Callable[[Attributes], Awaitable[None]]


class Chain:
    """The plug-ins over one server's objects, looked up by what they handle."""

    def __init__(
        self,
        objects: Objects,
        clock: Clock,
        config: Config,
        authorizer: Authorizer,
    ) -> None:
        without = config.disable_admission_plugins - ALWAYS
        chosen = [plugin for plugin in PLUGINS if plugin.__name__ not in without]
        self.plugins = [plugin(objects, clock, config, authorizer) for plugin in chosen]
        self._admit: dict[tuple[str, str, str], list[Step]] = {}
        self._validate: dict[tuple[str, str, str], list[Step]] = {}

    def _steps(self, memo: dict[tuple[str, str, str], list[Step]], a: Attributes, method: str) -> list[Step]:
        key = (a.kind.resource, a.subresource, a.operation)
        steps = memo.get(key)
        if steps is None:
            base: Any = getattr(Admission, method)
            steps = memo[key] = [
                getattr(p, method) for p in self.plugins if p.handles(a) and getattr(type(p), method) is not base
            ]
        return steps

    def looks_at(self, a: Attributes) -> tuple[str, ...] | None:
        """The resources on whose objects the answer to a write depends; None if it holds for this write alone."""
        found: set[str] = set()
        concerned = {step.__self__ for step in self._steps(self._admit, a, "admit")}  # type: ignore[attr-defined]
        concerned |= {step.__self__ for step in self._steps(self._validate, a, "validate")}  # type: ignore[attr-defined]
        for plugin in concerned:
            resources = plugin.looks_at(a)
            if resources is None:
                return None
            found.update(resources)
        return tuple(sorted(found))

    async def admit(self, a: Attributes) -> None:
        """Lets each plug-in change the object. Raises what refuses it."""
        for step in self._steps(self._admit, a, "admit"):
            await step(a)

    async def validate(self, a: Attributes) -> None:
        """Lets each plug-in refuse the final object."""
        for step in self._steps(self._validate, a, "validate"):
            await step(a)
