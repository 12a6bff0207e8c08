"""The policies that are configured, with their bindings."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from orlop.api import errors, scheme
from orlop.api.types import admissionregistration_v1 as types, meta_v1
from orlop.apiserver.admission import matching
from orlop.apiserver.admission.base import Attributes
from orlop.apiserver.admission.expressions import Conditions
from orlop.apiserver.admission.policies import params
from orlop.apiserver.admission.shown import Shown, Version, Versions
from orlop.apiserver.auth import Authorizer

CODES = {"Forbidden": 403, "Unauthorized": 401, "RequestEntityTooLarge": 413, "Invalid": 422}
"""HTTP's word for the reasons that a policy may give."""


NO_ERROR, COMPILE, INVALID, BUDGET = "no_error", "compile_error", "invalid_error", "out_of_budget"


def error_type(words: str) -> str:
    """What kind of mistake the words tell of."""
    if words.startswith("compilation"):
        return COMPILE
    return BUDGET if words.startswith("validation failed due to running out of cost budget") else INVALID


class Binding(NamedTuple):
    """Where a policy holds."""

    name: str
    spec: Any
    matcher: matching.Matcher


class Policy(NamedTuple):
    """A policy that can run."""

    name: str
    spec: Any
    matcher: matching.Matcher
    conditions: Conditions
    bindings: tuple[Binding, ...]
    expressions: Any
    """What its kind makes of it."""

    @property
    def ignores_failure(self) -> bool:
        return bool(self.spec.failure_policy == "Ignore")


class Trouble(NamedTuple):
    """Why a policy refuses a write."""

    policy: Policy
    binding: Binding | None
    message: str
    reason: str = "Invalid"
    error: str = NO_ERROR
    """What kind of mistake it is, as metrics tell it."""


class Use(NamedTuple):
    """A policy for a write, by one of its bindings, with one parameter (or none)."""

    policy: Policy
    binding: Binding
    version: Version
    param: params.Param | None


E = TypeVar("E")


class Policies(Generic[E]):
    """One kind of policies: read again when one of them or of their bindings changes."""

    plural: str
    bindings: str
    step: str
    """Of admission, as metrics tell it."""

    def __init__(self, versions: Versions, authorizer: Authorizer) -> None:
        self.versions = versions
        self.authorizer = authorizer
        self._objects = versions.objects
        self.clock = versions.objects.clock
        found = [scheme.by_resource(matching.GROUP, "v1", plural) for plural in (self.plural, self.bindings)]
        self._kinds = [kind for kind in found if kind is not None]
        self._seen: list[int] = []
        self._policies: tuple[Policy, ...] = ()

    @property
    def resources(self) -> tuple[str, ...]:
        """What configures it."""
        return tuple(kind.resource for kind in self._kinds)

    def any(self) -> bool:
        """Whether anything is configured."""
        return bool(self.policies())

    def policies(self) -> tuple[Policy, ...]:
        """Those that are bound, in the order of their names."""
        newest = [self._objects.hub.newest(kind.resource) for kind in self._kinds]
        if newest != self._seen:
            self._policies = tuple(self._read())
            self._seen = newest
        return self._policies

    def _read(self) -> Iterator[Policy]:
        policies, bindings = (
            sorted(
                (
                    self._objects.decode(kind, item)
                    for item in self._objects.hub.list(kind.resource, None, "", "", 0, None).items
                ),
                key=lambda o: str(o.metadata.name),
            )
            for kind in self._kinds
        )
        bound: dict[str, list[Binding]] = {}
        for one in bindings:
            binding = Binding(one.metadata.name, one.spec, matching.of_binding(one.spec.match_resources))
            bound.setdefault(one.spec.policy_name, []).append(binding)
        for policy in policies:
            if (own := bound.get(policy.metadata.name)) is None:
                continue
            spec = policy.spec
            yield Policy(
                policy.metadata.name,
                spec,
                matching.of_resources(spec.match_constraints or types.MatchResources()),
                Conditions(spec.match_conditions, (policy.metadata.name, "policy", self.step)),
                tuple(own),
                self.compile(spec),
            )

    def compile(self, spec: Any) -> E:
        """What is made of a policy's expressions once."""
        raise NotImplementedError

    def concern(self, a: Attributes, resources: Sequence[tuple[str, str, str]]) -> bool:
        """Whether any may be for writes like this."""
        return any(policy.matcher.may_match(a, resources) for policy in self.policies())

    async def uses(self, shown: Shown, troubles: list[Trouble]) -> AsyncIterator[Use]:
        """Every policy for this write, by every binding, with every parameter. What is wrong is added to `troubles`."""
        for policy in self.policies():
            try:
                version = policy.matcher.version(shown)
            except errors.NotFound as error:
                add(troubles, policy, None, f"failed to configure policy: {error.message}")
                continue
            if version is None:
                continue
            for binding in policy.bindings:
                try:
                    if binding.matcher.version(shown) is None:
                        continue
                    found = await params.collect(self.versions, policy.spec.param_kind, binding.spec.param_ref, shown)
                except params.Misconfigured as error:
                    whose = None if error.policy else binding
                    what = "policy" if error.policy else "binding"
                    add(troubles, policy, whose, f"failed to configure {what}: {error}")
                    continue
                except errors.ApiError as error:
                    add(troubles, policy, binding, f"failed to configure binding: {error.message}")
                    continue
                if not found:
                    continue
                try:
                    await shown.prepare(version)
                except errors.ApiError as error:
                    why = f"failed to configure policy: failed to convert object version: {error.message}"
                    add(troubles, policy, None, why)
                    continue
                for param in found:
                    yield Use(policy, binding, version, param)


def add(troubles: list[Trouble], policy: Policy, binding: Binding | None, message: str) -> None:
    """Notes a failure, unless the policy's failurePolicy lets it pass."""
    if not policy.ignores_failure:
        troubles.append(Trouble(policy, binding, message))


def refusal(shown: Shown, trouble: Trouble, what: str) -> errors.ApiError:
    """The refusal as the client is told of it."""
    by = f" with binding '{trouble.binding.name}'" if trouble.binding is not None else ""
    message = f"{what} '{trouble.policy.name}'{by} denied request: {trouble.message}"
    kind, a = shown.version.served, shown.a
    error = errors.forbidden(kind.plural, kind.group, a.name, message)
    reason = trouble.reason or "Invalid"
    error.status.reason, error.status.code = reason, CODES.get(reason, 422)
    if what == "policy":  # one that was to change the object
        error.status.message, error.status.code = message, 403
    assert error.status.details is not None
    error.status.details.causes.append(meta_v1.StatusCause(message=message))
    return error
