"""CEL over one write: what match conditions and policies say of it.

As k8s.io/apiserver's pkg/admission/plugin/cel and pkg/admission/plugin/webhook/matchconditions; costs those of
pkg/apis/cel.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from orlop import native
from orlop.api.types import admissionregistration_v1 as types
from orlop.apiserver.admission import metrics
from orlop.apiserver.admission.shown import Shown, Version
from orlop.apiserver.auth import Authorizer, User
from orlop.apiserver.auth.attributes import Access
from orlop.apiserver.auth.user import ALL_AUTHENTICATED, service_account_groups, service_account_name
from orlop.clock import Clock

BUDGET = 10_000_000
"""What the expressions of a policy may cost together (RuntimeCELCostBudget)."""
CONDITIONS_BUDGET = BUDGET // 4
"""What match conditions may cost (RuntimeCELCostBudgetMatchConditions)."""

Documents = list[tuple[str, native.CelDocument | None]]


class Result(NamedTuple):
    """What became of an expression."""

    kind: Literal["value", "error", "spent"]
    value: Any
    """What it came to."""
    error: str


HOLDS = Result("value", True, "")
"""What nearly every expression comes to."""


def documents(
    shown: Shown, version: Version, params: native.CelDocument | None = None, *, namespace: bool = False
) -> Documents:
    """What expressions speak of, for a write in a version; `namespace`: of its Namespace too. Raises NotFound."""
    key = (version.resource, namespace)
    known = shown.spoken_of.get(key)
    if known is None:
        known = shown.spoken_of[key] = [
            ("object", shown.document("object", version)),
            ("oldObject", shown.document("old", version)),
            ("request", shown.document("request", version)),
            ("params", None),
            ("namespaceObject", shown.own_namespace() if namespace else None),
        ]
    return known if params is None else [(name, params if name == "params" else of) for name, of in known]


class Asker:
    """Runs expressions for one request, whose questions about access are answered by the authorizer."""

    def __init__(self, authorizer: Authorizer, user: User, clock: Clock) -> None:
        self._authorizer = authorizer
        self._user = user
        self.clock = clock
        self._answers: dict[str, tuple[bool, str, str]] = {}

    def evaluate(
        self, expressions: "Compiled", which: Sequence[int], about: Documents, budget: int
    ) -> tuple[list[Result], int]:
        """The results, and what is left of the budget."""
        while True:
            told, left, question = expressions.native.evaluate(list(which), about, self._answers, budget)
            if question is None:
                break
            self._answers[question] = self._answer(msgspec.json.decode(question))
        results = []
        for at, (kind, data) in zip(which, told, strict=True):
            if data == b"true":
                results.append(HOLDS)
            elif kind == "value":
                results.append(Result(kind, msgspec.json.decode(data), ""))
            elif kind == "spent":
                results.append(Result(kind, None, data.decode()))
            else:
                why = f"expression '{expressions.texts[at]}' resulted in error: {data.decode()}"
                results.append(Result(kind, None, why))
        return results, left

    def _answer(self, asked: dict[str, str]) -> tuple[bool, str, str]:
        user = self._user
        if account := asked.get("serviceAccount"):
            namespace, _, name = account.partition("/")
            user = User(
                service_account_name(namespace, name),
                (*service_account_groups(namespace), ALL_AUTHENTICATED),
            )
        if "path" in asked:
            access = Access(asked["verb"], path=asked["path"])
        else:
            access = Access(
                asked["verb"],
                asked.get("resource", ""),
                asked.get("group", ""),
                asked.get("namespace", ""),
                asked.get("name", ""),
                asked.get("subresource", ""),
                "*",
            )
        decision = self._authorizer.authorize(user, access, asked.get("fieldSelector", ""))
        return decision.allowed, decision.reason, ""


class Compiled:
    """Expressions that share variables."""

    def __init__(self, variables: Sequence[types.Variable], texts: Sequence[str]) -> None:
        self.texts = list(texts)
        self.native = native.CelExpressions([(v.name, v.expression) for v in variables], self.texts)


class Conditions:
    """The match conditions of a webhook or policy."""

    def __init__(
        self, conditions: Sequence[types.MatchCondition], owner: tuple[str, Literal["webhook", "policy"], str]
    ) -> None:
        """`owner`: whose they are (its name and kind) and in which step of admission, as metrics tell it."""
        self._compiled = Compiled((), [c.expression for c in conditions])
        self._which = range(len(conditions))
        self._owner = owner

    def hold(self, asker: Asker, about: Callable[[], Documents], operation: str) -> bool:
        """Whether all hold. Raises Broken where that cannot be told."""
        if not self._which:
            return True
        labels = (*self._owner, operation)
        began = asker.clock.monotonic()
        results, _ = asker.evaluate(self._compiled, self._which, about(), CONDITIONS_BUDGET)
        metrics.CONDITION_SECONDS.labels(*labels).observe(asker.clock.monotonic() - began)
        wrong = [r.error for r in results if r.kind != "value"]
        if wrong:
            metrics.CONDITION_ERRORS.labels(*labels).inc(len(wrong))
        if any(r.kind == "value" and r.value is not True for r in results):
            metrics.CONDITION_EXCLUSIONS.labels(*labels).inc()
            return False
        if wrong:
            wrong = list(dict.fromkeys(wrong))
            raise Broken(wrong[0] if len(wrong) == 1 else f"[{', '.join(wrong)}]")
        return True


class Broken(Exception):
    """An expression has no value."""
