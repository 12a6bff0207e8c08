import pytest

from orlop.api import errors
from orlop.api.types import authentication_v1, authorization_v1
from orlop.apiserver.auth import Authenticator, Authorizer, ServiceAccountTokens, User
from orlop.apiserver.auth.policy import bootstrap_policy
from orlop.apiserver.auth.reviews import Reviews
from orlop.apiserver.auth.tokenrequest import TokenIssuer
from orlop.pki.authority import new_key, signing_key_pem

from .conftest import account, pod

KEY = signing_key_pem(new_key())
ADMIN = User("admin", ("system:masters", "system:authenticated"))
ALICE = User("alice", ("system:authenticated",))


@pytest.fixture
def tokens(hub, clock):
    for obj in bootstrap_policy():
        hub.put(obj)
    hub.put(account())
    hub.put(pod(serviceAccountName="app"))
    return ServiceAccountTokens(KEY, hub, clock)


@pytest.fixture
def reviews(hub, clock, tokens):
    return Reviews(Authenticator([tokens], clock), Authorizer(hub))


@pytest.fixture
def issue(hub, tokens):
    return TokenIssuer(tokens, hub)


def attributes(verb, resource, namespace="", **more):
    return authorization_v1.ResourceAttributes(verb=verb, resource=resource, namespace=namespace, **more)


def request(**spec):
    return authentication_v1.TokenRequest(spec=authentication_v1.TokenRequestSpec(**spec))


def ref(kind="Pod", name="p", uid=""):
    return authentication_v1.BoundObjectReference(kind=kind, api_version="v1", name=name, uid=uid)


async def test_a_token_is_reviewed(reviews, issue):
    issued = await issue("default", "app", request(bound_object_ref=ref()))
    review = await reviews.token(
        ADMIN,
        authentication_v1.TokenReview(spec=authentication_v1.TokenReviewSpec(token=issued.status.token)),
    )
    assert review.status.authenticated
    assert review.status.user.username == "system:serviceaccount:default:app"
    assert review.status.user.groups == [
        "system:serviceaccounts",
        "system:serviceaccounts:default",
        "system:authenticated",
    ]
    assert review.status.user.extra["authentication.kubernetes.io/pod-name"] == ["p"]
    assert review.status.audiences == ["https://kubernetes.default.svc.cluster.local"]


async def test_a_token_that_does_not_count_is_explained(reviews, issue):
    issued = await issue("default", "app", request(audiences=["vault"]))

    async def status(token, audiences=()):
        spec = authentication_v1.TokenReviewSpec(token=token, audiences=list(audiences))
        return (await reviews.token(ADMIN, authentication_v1.TokenReview(spec=spec))).status

    assert not (await status("unknown")).authenticated
    refused = await status(issued.status.token)
    assert not refused.authenticated
    assert "is invalid for the target audiences" in refused.error
    assert (await status(issued.status.token, ["vault"])).audiences == ["vault"]
    with pytest.raises(errors.BadRequest, match="token is required"):
        await status("")


async def test_whoami(reviews):
    review = await reviews.self_subject(ALICE, authentication_v1.SelfSubjectReview())
    assert review.status.user_info.username == "alice"


async def test_can_i(reviews):
    async def can(user, asked):
        spec = authorization_v1.SelfSubjectAccessReviewSpec(resource_attributes=asked)
        review = authorization_v1.SelfSubjectAccessReview(spec=spec)
        return (await reviews.self_subject_access(user, review)).status

    assert (await can(ADMIN, attributes("delete", "nodes"))).allowed
    refused = await can(ALICE, attributes("list", "pods", "default"))
    assert (refused.allowed, refused.denied, refused.reason) == (False, False, "")
    scheduler = User("system:kube-scheduler")
    assert (await can(scheduler, attributes("list", "nodes"))).reason == (
        'RBAC: allowed by ClusterRoleBinding "system:kube-scheduler" of ClusterRole "system:kube-scheduler" to User '
        '"system:kube-scheduler"'
    )


async def test_can_someone_else(reviews):
    spec = authorization_v1.SubjectAccessReviewSpec(
        non_resource_attributes=authorization_v1.NonResourceAttributes(verb="get", path="/readyz"),
        groups=["system:unauthenticated"],
    )
    review = await reviews.subject_access(ADMIN, authorization_v1.SubjectAccessReview(spec=spec))
    assert review.status.allowed


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"user": "x"},
            "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes "
            "must be specified",
        ),
        (
            {"resource_attributes": attributes("get", "pods")},
            'spec.user: Invalid value: "": at least one of user or group must be specified',
        ),
    ],
)
async def test_a_review_must_be_whole(reviews, spec, message):
    review = authorization_v1.SubjectAccessReview(spec=authorization_v1.SubjectAccessReviewSpec(**spec))
    with pytest.raises(errors.Invalid) as caught:
        await reviews.subject_access(ADMIN, review)
    assert message in caught.value.message


async def test_a_local_review_stays_in_its_namespace(reviews):
    spec = authorization_v1.SubjectAccessReviewSpec(user="x", resource_attributes=attributes("get", "pods", "other"))
    review = authorization_v1.LocalSubjectAccessReview(spec=spec)
    review.metadata.namespace = "default"
    with pytest.raises(errors.Invalid, match=r"must match metadata\.namespace"):
        await reviews.local_subject_access(ADMIN, review)


async def test_can_i_list(reviews):
    spec = authorization_v1.SelfSubjectRulesReviewSpec(namespace="default")
    review = await reviews.self_subject_rules(ALICE, authorization_v1.SelfSubjectRulesReview(spec=spec))
    found = {(tuple(rule.verbs), tuple(rule.resources)) for rule in review.status.resource_rules}
    assert (("create",), ("selfsubjectreviews",)) in found
    assert any("/version" in rule.non_resource_urls for rule in review.status.non_resource_rules)
    assert not review.status.incomplete
    kubelet = User("system:node:n1", ("system:nodes",))
    assert (await reviews.self_subject_rules(kubelet, review)).status.incomplete
    with pytest.raises(errors.BadRequest, match="no namespace on request"):
        await reviews.self_subject_rules(ALICE, authorization_v1.SelfSubjectRulesReview())


async def test_a_request_without_wishes_gets_an_hour_for_the_api_server(issue, tokens):
    issued = await issue("default", "app", request())
    assert issued.status.expiration_timestamp == "2023-11-14T23:13:20Z"
    assert tokens.authenticate(issued.status.token)[0].uid == "sa-uid"
    assert issued.metadata.name == "app"


async def test_a_pod_s_projected_token_counts_for_a_year_but_says_an_hour(issue, tokens, clock):
    issued = await issue("default", "app", request(expiration_seconds=3607, bound_object_ref=ref()))
    assert issued.status.expiration_timestamp == "2023-11-14T23:13:27Z"
    await clock.advance(30 * 86400)
    assert tokens.authenticate(issued.status.token)
    other = await issue("default", "app", request(expiration_seconds=3607, audiences=["vault"]))
    await clock.advance(3700)
    with pytest.raises(Exception, match="expired"):
        tokens.authenticate(other.status.token, ("vault",))


@pytest.mark.parametrize(
    ("bound", "error", "message"),
    [
        (ref(name="none"), errors.NotFound, 'pods "none" not found'),
        (ref(kind="Service"), errors.BadRequest, "cannot bind token to object of type /v1, Kind=Service"),
        (ref(uid="old"), errors.Conflict, r"the UID in the bound object reference \(old\) does not match"),
        (ref(name="other"), errors.BadRequest, 'cannot bind token for serviceaccount "app" to pod running with'),
    ],
)
async def test_a_token_is_bound_to_what_is_there(issue, hub, bound, error, message):
    hub.put(pod("other", serviceAccountName="someone"))
    with pytest.raises(error, match=message):
        await issue("default", "app", request(bound_object_ref=bound))


async def test_no_token_for_a_service_account_that_is_not_there(issue):
    with pytest.raises(errors.NotFound, match='serviceaccounts "none" not found'):
        await issue("default", "none", request())
