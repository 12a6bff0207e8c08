"""Answers to those who ask who someone is and what they may do: the review kinds.

Each function gets the asking user and the review, and gives the review with its status filled in. The questions'
checks and their words are those of pkg/registry/{authentication,authorization} and pkg/apis/authorization/validation.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from orlop.api import errors
from orlop.api.types import authentication_v1, authorization_v1
from orlop.apiserver.auth.attributes import Access, Attributes
from orlop.apiserver.auth.authenticator import Authenticator
from orlop.apiserver.auth.authorizer import Authorizer
from orlop.apiserver.auth.rbac import aggregate
from orlop.apiserver.auth.tokens import TokenError
from orlop.apiserver.auth.user import User, extra, node_of

Answer = Callable[[User, Any], Awaitable[Any]]
_GROUP = "authorization.k8s.io"
_Spec = authorization_v1.SubjectAccessReviewSpec | authorization_v1.SelfSubjectAccessReviewSpec


class Reviews:
    """The answers, by kind."""

    def __init__(self, authenticator: Authenticator, authorizer: Authorizer) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer

    def by_type(self) -> dict[str, Answer]:
        """Each answer under its kind's type key."""
        return {
            "authentication/v1.TokenReview": self.token,
            "authentication/v1.SelfSubjectReview": self.self_subject,
            "authorization/v1.SubjectAccessReview": self.subject_access,
            "authorization/v1.LocalSubjectAccessReview": self.local_subject_access,
            "authorization/v1.SelfSubjectAccessReview": self.self_subject_access,
            "authorization/v1.SelfSubjectRulesReview": self.self_subject_rules,
        }

    async def token(self, user: User, review: authentication_v1.TokenReview) -> authentication_v1.TokenReview:
        """Whose token this is, and for which of the audiences asked for. Raises BadRequest."""
        if not review.spec.token:
            raise errors.BadRequest("token is required for TokenReview in authentication")
        status = review.status = authentication_v1.TokenReviewStatus()
        try:
            found = self._authenticator.token(review.spec.token, tuple(review.spec.audiences))
        except TokenError as error:
            status.error = str(error)
            return review
        if found is not None:
            status.authenticated = True
            status.user = found[0].info()
            status.audiences = found[1]
        return review

    async def self_subject(
        self, user: User, review: authentication_v1.SelfSubjectReview
    ) -> authentication_v1.SelfSubjectReview:
        """Who the asker is: `kubectl auth whoami`."""
        review.status = authentication_v1.SelfSubjectReviewStatus(user_info=user.info())
        return review

    async def subject_access(
        self, user: User, review: authorization_v1.SubjectAccessReview
    ) -> authorization_v1.SubjectAccessReview:
        """What someone else may do. Raises Invalid."""
        self._check("SubjectAccessReview", [*_about_what(review.spec), *_about_whom(review.spec)])
        review.status = self._decide(_subject(review.spec), review.spec)
        return review

    async def local_subject_access(
        self, user: User, review: authorization_v1.LocalSubjectAccessReview
    ) -> authorization_v1.LocalSubjectAccessReview:
        """As `subject_access`, within the review's namespace. Raises Invalid."""
        spec = review.spec
        wrong = [*_about_what(spec), *_about_whom(spec)]
        if spec.resource_attributes and spec.resource_attributes.namespace != review.metadata.namespace:
            namespace = spec.resource_attributes.namespace
            wrong.append(
                errors.invalid_value("spec.resourceAttributes.namespace", namespace, "must match metadata.namespace")
            )
        if spec.non_resource_attributes:
            wrong.append(
                errors.invalid_value(
                    "spec.nonResourceAttributes", spec.non_resource_attributes, "disallowed on this kind of request"
                )
            )
        self._check("LocalSubjectAccessReview", wrong)
        review.status = self._decide(_subject(spec), spec)
        return review

    async def self_subject_access(
        self, user: User, review: authorization_v1.SelfSubjectAccessReview
    ) -> authorization_v1.SelfSubjectAccessReview:
        """What the asker may do: `kubectl auth can-i`. Raises Invalid."""
        self._check("SelfSubjectAccessReview", _about_what(review.spec))
        review.status = self._decide(user, review.spec)
        return review

    async def self_subject_rules(
        self, user: User, review: authorization_v1.SelfSubjectRulesReview
    ) -> authorization_v1.SelfSubjectRulesReview:
        """All rules that hold for the asker in a namespace: `kubectl auth can-i --list`. Raises BadRequest."""
        namespace = review.spec.namespace
        if not namespace:
            raise errors.BadRequest("no namespace on request")
        rules, wrong = self._authorizer.rbac.rules(user, namespace)
        status = review.status = authorization_v1.SubjectRulesReviewStatus()
        for rule in rules:
            if rule.resources:
                status.resource_rules.append(
                    authorization_v1.ResourceRule(
                        verbs=rule.verbs,
                        api_groups=rule.api_groups,
                        resources=rule.resources,
                        resource_names=rule.resource_names,
                    )
                )
            if rule.non_resource_urls:
                status.non_resource_rules.append(
                    authorization_v1.NonResourceRule(verbs=rule.verbs, non_resource_urls=rule.non_resource_urls)
                )
        if node_of(user):
            status.incomplete = True
            wrong = ["node authorizer does not support user rule resolution", *wrong]
        status.evaluation_error = aggregate(wrong) if wrong else ""
        return review

    def _check(self, kind: str, wrong: list[errors.FieldError]) -> None:
        if wrong:
            raise errors.invalid(kind, _GROUP, "", wrong)

    def _decide(self, user: User, spec: _Spec) -> authorization_v1.SubjectAccessReviewStatus:
        asked, field_selector = _asked(spec)
        decision = self._authorizer.authorize(user, asked, field_selector)
        return authorization_v1.SubjectAccessReviewStatus(allowed=decision.allowed, reason=decision.reason)


def _about_what(spec: _Spec) -> list[errors.FieldError]:
    if spec.resource_attributes and spec.non_resource_attributes:
        return [
            errors.invalid_value(
                "spec.nonResourceAttributes",
                spec.non_resource_attributes,
                "cannot be specified in combination with resourceAttributes",
            )
        ]
    if not spec.resource_attributes and not spec.non_resource_attributes:
        return [
            errors.invalid_value(
                "spec.resourceAttributes",
                None,
                "exactly one of nonResourceAttributes or resourceAttributes must be specified",
            )
        ]
    return []


def _about_whom(spec: authorization_v1.SubjectAccessReviewSpec) -> list[errors.FieldError]:
    if spec.user or spec.groups:
        return []
    return [errors.invalid_value("spec.user", spec.user, "at least one of user or group must be specified")]


def _subject(spec: authorization_v1.SubjectAccessReviewSpec) -> User:
    return User(spec.user, tuple(spec.groups), spec.uid, extra(spec.extra))


def _asked(spec: _Spec) -> tuple[Attributes, str]:
    """What is asked for, and the field selector that it is limited to."""
    about = spec.resource_attributes
    if about is None:
        assert spec.non_resource_attributes is not None
        return Access(spec.non_resource_attributes.verb, path=spec.non_resource_attributes.path or "/"), ""
    selector = ""
    if about.field_selector:
        terms = [f"{r.key}={r.values[0]}" for r in about.field_selector.requirements if r.operator == "In" and r.values]
        selector = about.field_selector.raw_selector or ",".join(terms)
    asked = Access(
        about.verb,
        about.resource,
        about.group,
        about.namespace,
        about.name,
        about.subresource,
        about.version,
    )
    return asked, selector
