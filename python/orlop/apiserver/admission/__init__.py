"""Admission: what may change or refuse a write between access and validation. The order stands in `PLUGINS`."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from orlop.api.kind import Kind
from orlop.apiserver.admission.alwayspullimages import AlwaysPullImages
from orlop.apiserver.admission.base import Admission, Attributes, Operation
from orlop.apiserver.admission.certificates import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
    ClusterTrustBundleAttest,
)
from orlop.apiserver.admission.defaultingressclass import DefaultIngressClass
from orlop.apiserver.admission.defaultstorageclass import DefaultStorageClass
from orlop.apiserver.admission.defaulttolerationseconds import DefaultTolerationSeconds
from orlop.apiserver.admission.denyserviceexternalips import DenyServiceExternalIPs
from orlop.apiserver.admission.extendedresourcetoleration import ExtendedResourceToleration
from orlop.apiserver.admission.limitpodhardantiaffinitytopology import LimitPodHardAntiAffinityTopology
from orlop.apiserver.admission.limitranger import LimitRanger
from orlop.apiserver.admission.matching import NEVER_SHOWN
from orlop.apiserver.admission.namespacelifecycle import NamespaceLifecycle
from orlop.apiserver.admission.noderestriction import NodeRestriction
from orlop.apiserver.admission.persistentvolumeclaimresize import PersistentVolumeClaimResize
from orlop.apiserver.admission.podnodeselector import PodNodeSelector
from orlop.apiserver.admission.podresizevalidator import PodResizeValidator
from orlop.apiserver.admission.podsecurity import PodSecurity
from orlop.apiserver.admission.podtopologylabels import PodTopologyLabels
from orlop.apiserver.admission.policies import MutatingPolicies, ValidatingPolicies
from orlop.apiserver.admission.priority import Priority
from orlop.apiserver.admission.rbacescalation import RbacEscalation
from orlop.apiserver.admission.reinvocation import Reinvocation
from orlop.apiserver.admission.runtimeclass import RuntimeClass
from orlop.apiserver.admission.serviceaccount import ServiceAccount
from orlop.apiserver.admission.shown import Shown, Versions
from orlop.apiserver.admission.storageobjectinuseprotection import StorageObjectInUseProtection
from orlop.apiserver.admission.taintnodesbycondition import TaintNodesByCondition
from orlop.apiserver.admission.webhooks import MutatingWebhooks, ValidatingWebhooks
from orlop.apiserver.auth import Authorizer
from orlop.apiserver.config import Config
from orlop.apiserver.registry.objects import Objects
from orlop.apiserver.webhooks.client import WebhookClient
from orlop.clock import Clock

PLUGINS: list[type[Admission]] = [
    NamespaceLifecycle,
    LimitRanger,
    ServiceAccount,
    NodeRestriction,
    TaintNodesByCondition,
    AlwaysPullImages,
    PodSecurity,
    PodNodeSelector,
    Priority,
    DefaultTolerationSeconds,
    ExtendedResourceToleration,
    DefaultStorageClass,
    StorageObjectInUseProtection,
    PersistentVolumeClaimResize,
    RuntimeClass,
    CertificateApproval,
    CertificateSigning,
    ClusterTrustBundleAttest,
    CertificateSubjectRestriction,
    DefaultIngressClass,
    DenyServiceExternalIPs,
    LimitPodHardAntiAffinityTopology,
    PodTopologyLabels,
    PodResizeValidator,
    RbacEscalation,
]
"""Upstream's recommended order (pkg/kubeapiserver/options/plugins.go), of those that exist here; each has upstream's
name. ResourceQuota comes after all of them: it charges within the write itself (`resourcequota`)."""

ALWAYS = frozenset({RbacEscalation.__name__})
"""What upstream does elsewhere than in admission: it cannot be turned off."""

CONFIGURED = (
    "MutatingAdmissionPolicy",
    "MutatingAdmissionWebhook",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionWebhook",
)
"""What objects of the API configure, in upstream's order."""
ASKED_FOR = frozenset(
    {
        "AlwaysPullImages",
        "DenyServiceExternalIPs",
        "ExtendedResourceToleration",
        "LimitPodHardAntiAffinityTopology",
        "PodNodeSelector",
    }
)
"""What is off where nothing is said, as upstream."""
NAMES = frozenset({plugin.__name__ for plugin in PLUGINS} - ALWAYS) | {*CONFIGURED, "ResourceQuota"}
"""What `--enable-admission-plugins` and `--disable-admission-plugins` may name. All but those of `ASKED_FOR` are
on where nothing is said."""

ELSEWHERE = frozenset(
    {
        "AlwaysAdmit",
        "AlwaysDeny",
        "EventRateLimit",
        "ImagePolicyWebhook",
        "NamespaceAutoProvision",
        "NamespaceExists",
        "OwnerReferencesPermissionEnforcement",
        "PodTolerationRestriction",
    }
)
"""Upstream's plug-ins that are not here: turning them off is no mistake."""


def check_names(enable: frozenset[str], disable: frozenset[str]) -> None:
    """Raises ValueError for a plug-in that is not there, and one that shall be both."""
    for flag, names in (("enable", enable), ("disable", disable - ELSEWHERE)):
        if unknown := sorted(names - NAMES):
            known = ", ".join(sorted(NAMES))
            raise ValueError(f"{flag}-admission-plugins plugin {unknown[0]!r} is unknown; there are {known}")
    if both := sorted(enable & disable):
        raise ValueError(f"{both} in enable-admission-plugins and disable-admission-plugins overlapped")


Step = Callable[[Attributes], Awaitable[None]]


class Configured(Protocol):
    """Admission that objects of the API configure."""

    @property
    def resources(self) -> tuple[str, ...]:
        """What configures it."""

    def any(self) -> bool:
        """Whether anything is configured."""

    def concern(self, a: Attributes, resources: Sequence[tuple[str, str, str]]) -> bool:
        """Whether any of it may be for writes like this, which may be taken for ones of these resources."""


class Mutating(Configured, Protocol):
    """It may change objects."""

    async def admit(self, shown: Shown, turn: Reinvocation) -> None: ...


class Validating(Configured, Protocol):
    """It may refuse objects."""

    async def validate(self, shown: Shown) -> None: ...


class _There:
    """Those of which anything is configured: asked anew only when something that configures them has changed, since
    most servers have nothing."""

    def __init__(self, configured: Sequence[Configured], objects: Objects) -> None:
        self._configured = configured
        self._objects = objects
        self._newest = -1
        self._now: list[Configured] = []
        self.resources = tuple({resource for one in configured for resource in one.resources})

    def now(self) -> list[Configured]:
        """Those there are now."""
        newest = self._objects.hub.newest_of(self.resources)
        if newest != self._newest:
            self._now = [one for one in self._configured if one.any()]
            self._newest = newest
        return self._now


class Chain:
    """The plug-ins over one server's objects, looked up by what they handle; after them those that are configured by
    objects: policies and webhooks."""

    def __init__(
        self,
        objects: Objects,
        clock: Clock,
        config: Config,
        authorizer: Authorizer,
        versions: Versions,
        client: WebhookClient,
    ) -> None:
        without = (config.disable_admission_plugins | (ASKED_FOR - config.enable_admission_plugins)) - ALWAYS
        chosen = [plugin for plugin in PLUGINS if plugin.__name__ not in without]
        self.plugins = [plugin(objects, clock, config, authorizer) for plugin in chosen]
        self._admit: dict[tuple[str, str, str], list[Step]] = {}
        self._validate: dict[tuple[str, str, str], list[Step]] = {}
        self._versions = versions
        mutating: dict[str, Mutating] = {
            "MutatingAdmissionPolicy": MutatingPolicies(versions, authorizer),
            "MutatingAdmissionWebhook": MutatingWebhooks(objects, clock, client, authorizer),
        }
        validating: dict[str, Validating] = {
            "ValidatingAdmissionPolicy": ValidatingPolicies(versions, authorizer),
            "ValidatingAdmissionWebhook": ValidatingWebhooks(objects, clock, client, authorizer),
        }
        self._mutating = _There([one for name, one in mutating.items() if name not in without], objects)
        self._validating = _There([one for name, one in validating.items() if name not in without], objects)

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
        if self._concerned(self._mutating, a) or self._concerned(self._validating, a):
            return None
        found.update(self._mutating.resources, self._validating.resources)
        return tuple(sorted(found))

    def _concerned(self, configured: "_There", a: Attributes) -> Sequence[Any]:
        """Those of which anything may be for writes like this."""
        there = configured.now()
        if not there or a.kind.resource in NEVER_SHOWN:
            return ()
        resources = [version.resource for version in self._versions.of(a.kind)]
        return [one for one in there if one.concern(a, resources)]

    async def admit(self, a: Attributes) -> None:
        """Lets each plug-in change the object. Raises what refuses it."""
        steps = self._steps(self._admit, a, "admit")
        for step in steps:
            await step(a)
        concerned = self._concerned(self._mutating, a)
        if not concerned:
            return
        shown = Shown(a, self._versions)
        turns = [Reinvocation() for _ in concerned]
        for one, turn in zip(concerned, turns, strict=True):
            await one.admit(shown, turn)
        if not any(turn.changed for turn in turns):
            return
        for step in steps:
            await step(a)
        shown.changed()
        for one, turn in zip(concerned, turns, strict=True):
            turn.again = True
            await one.admit(shown, turn)

    def validates(self, kind: Kind, subresource: str, operation: Operation) -> bool:
        """Whether anything may refuse the final object of such a write."""
        return self._validate.get((kind.resource, subresource, operation)) != [] or bool(self._validating.now())

    async def validate(self, a: Attributes) -> None:
        """Lets each plug-in refuse the final object."""
        for step in self._steps(self._validate, a, "validate"):
            await step(a)
        concerned = self._concerned(self._validating, a)
        if concerned:
            shown = Shown(a, self._versions)
            for one in concerned:
                await one.validate(shown)
