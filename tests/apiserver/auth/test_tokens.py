import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from orlop.api import errors
from orlop.api.types import core_v1, meta_v1
from orlop.apiserver.auth import Authenticator, ServiceAccountTokens, TokenError, TokenFile, TokenFileError
from orlop.apiserver.auth.tokens import ISSUER
from orlop.pki import signing
from orlop.pki.authority import new_key, signing_key_pem

from .conftest import account, pod

KEY = signing_key_pem(new_key())
POD = {"pod": ("p", "pod-uid"), "node": ("n1", "node-uid")}


@pytest.fixture
def tokens(hub, clock):
    hub.put(account())
    hub.put(pod())
    return ServiceAccountTokens(KEY, hub, clock)


def sign(tokens, **more):
    given = {"audiences": [ISSUER], "seconds": 3600, "bound": POD, **more}
    return tokens.sign("default", ("app", "sa-uid"), **given)[0]


def test_a_token_names_its_service_account(tokens):
    user, audiences = tokens.authenticate(sign(tokens))
    assert user.name == "system:serviceaccount:default:app"
    assert user.uid == "sa-uid"
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated")
    extra = dict(user.extra)
    assert extra["authentication.kubernetes.io/pod-name"] == ("p",)
    assert extra["authentication.kubernetes.io/node-uid"] == ("node-uid",)
    assert extra["authentication.kubernetes.io/credential-id"][0].startswith("JTI=")
    assert audiences == [ISSUER]


def test_claims_are_those_of_upstream(tokens, clock):
    token, expires = tokens.sign(
        "default", ("app", "sa-uid"), audiences=["a", "b"], seconds=600, bound=POD, warn_after=3607
    )
    claims = jwt.decode(token, options={"verify_signature": False})
    now = int(clock.now())
    assert expires == now + 600
    assert claims == {
        "aud": ["a", "b"],
        "exp": now + 600,
        "iat": now,
        "nbf": now,
        "iss": ISSUER,
        "jti": claims["jti"],
        "sub": "system:serviceaccount:default:app",
        "kubernetes.io": {
            "namespace": "default",
            "node": {"name": "n1", "uid": "node-uid"},
            "pod": {"name": "p", "uid": "pod-uid"},
            "serviceaccount": {"name": "app", "uid": "sa-uid"},
            "warnafter": now + 3607,
        },
    }
    assert jwt.get_unverified_header(token)["alg"] == "ES256"


async def test_it_expires(tokens, clock):
    token = sign(tokens)
    await clock.advance(3600 + 59)
    tokens.authenticate(token)
    await clock.advance(2)
    with pytest.raises(TokenError, match="has expired"):
        tokens.authenticate(token)


def test_it_counts_for_its_audience_only(tokens):
    token = sign(tokens, audiences=["vault"])
    with pytest.raises(TokenError, match='token audiences \\["vault"\\] is invalid'):
        tokens.authenticate(token)
    assert tokens.authenticate(token, ("vault", "other"))[1] == ["vault"]


def test_it_ends_with_its_pod(tokens, hub):
    token = sign(tokens)
    tokens.authenticate(token)
    hub.remove("pods", "default", "p")
    with pytest.raises(TokenError, match="has been invalidated"):
        tokens.authenticate(token)
    hub.put(pod(uid="another"))
    with pytest.raises(TokenError, match="pod UID \\(another\\) does not match service account pod ref claim"):
        tokens.authenticate(token)


async def test_a_pod_that_is_being_deleted_keeps_its_token_a_minute(tokens, hub, clock):
    token = sign(tokens)
    going = pod()
    going.metadata.deletion_timestamp = "2023-11-14T22:13:20Z"  # the fake clock's start
    hub.put(going)
    tokens.authenticate(token)
    await clock.advance(61)
    hub.put(account("other"))
    with pytest.raises(TokenError, match="has been invalidated"):
        tokens.authenticate(token)


def test_it_ends_with_its_service_account(tokens, hub):
    token = sign(tokens)
    hub.put(account(uid="made anew"))
    with pytest.raises(TokenError, match="service account UID \\(made anew\\) does not match claim"):
        tokens.authenticate(token)
    hub.remove("serviceaccounts", "default", "app")
    with pytest.raises(TokenError, match='serviceaccount "app" not found'):
        tokens.authenticate(token)


def legacy(**more):
    """A token that stands in a Secret."""
    prefix = "kubernetes.io/serviceaccount/"
    claims = {
        "iss": "kubernetes/serviceaccount",
        f"{prefix}namespace": "default",
        f"{prefix}secret.name": "kept",
        f"{prefix}service-account.name": "app",
        f"{prefix}service-account.uid": "sa-uid",
        "sub": "system:serviceaccount:default:app",
        **more,
    }
    return signing.load(KEY).sign(claims)


def kept(token):
    """The Secret that the token stands in."""
    meta = meta_v1.ObjectMeta(name="kept", namespace="default", uid="secret-uid")
    return core_v1.Secret(metadata=meta, data={"token": token.encode()})


async def test_a_token_in_a_secret_counts_as_long_as_the_secret_holds_it(tokens, hub, clock):
    token = legacy()
    with pytest.raises(TokenError, match="has been invalidated"):
        tokens.authenticate(token)
    hub.put(kept(token))
    user, audiences = tokens.authenticate(token)
    assert (user.name, user.uid, audiences) == ("system:serviceaccount:default:app", "sa-uid", [ISSUER])
    await clock.advance(10 * 365 * 24 * 3600)
    assert tokens.authenticate(token)
    hub.put(kept("another"))
    with pytest.raises(TokenError, match="does not match server's copy"):
        tokens.authenticate(token)
    hub.put(kept(token))
    with pytest.raises(TokenError, match="token audiences"):
        tokens.authenticate(token, ("elsewhere",))
    hub.put(account(uid="made anew"))
    with pytest.raises(TokenError, match="does not match claim"):
        tokens.authenticate(token)


def test_uses_of_a_token_in_a_secret_are_told_and_one_marked_invalid_does_not_count(tokens, hub):
    token, told = legacy(), []
    tokens.used = lambda *use: told.append(use)
    secret = kept(token)
    secret.metadata.labels = {"kubernetes.io/legacy-token-last-used": "2023-01-01"}
    hub.put(secret)
    assert tokens.authenticate(token)
    secret.metadata.labels = {"kubernetes.io/legacy-token-invalid-since": "2023-01-01"}
    hub.put(secret)
    with pytest.raises(TokenError, match="secret default/kept for service account default/app has been marked invalid"):
        tokens.authenticate(token)
    assert told == [("default", "kept", "2023-01-01"), ("default", "kept", "")]


def test_a_token_in_a_secret_that_contradicts_itself(tokens):
    assert tokens.authenticate(legacy(sub="system:serviceaccount:kube-system:admin")) is None


def test_others_tokens_are_not_ours(tokens, hub, clock):
    foreign = ServiceAccountTokens(signing_key_pem(new_key()), hub, clock)
    assert tokens.authenticate(sign(foreign)) is None
    other_issuer = ServiceAccountTokens(KEY, hub, clock, issuer="https://elsewhere")
    assert tokens.authenticate(sign(other_issuer)) is None
    assert tokens.authenticate("a.b.c") is None
    assert tokens.authenticate("opaque") is None
    head, body, signature = sign(tokens).split(".")
    assert tokens.authenticate(f"{head}.{body}.{signature[:-8]}AAAAAAAA") is None
    unsigned = jwt.encode({"iss": ISSUER}, None, "none")
    assert tokens.authenticate(unsigned) is None


OWN = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ES512": lambda: ec.generate_private_key(ec.SECP521R1()),
}


@pytest.mark.parametrize("algorithm", OWN)
@pytest.mark.parametrize("form", [PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8])
def test_keys_of_one_s_own_sign_too_and_anyone_can_verify(hub, clock, algorithm, form):
    hub.put(account())
    pem = OWN[algorithm]().private_bytes(Encoding.PEM, form, NoEncryption())
    tokens = ServiceAccountTokens(pem, hub, clock)
    token = sign(tokens, bound={})
    assert tokens.authenticate(token)
    assert tokens.authenticate(sign(ServiceAccountTokens(KEY, hub, clock), bound={})) is None
    keys = jwt.PyJWKSet.from_json(tokens.key_set().decode())
    header = jwt.get_unverified_header(token)
    assert header["alg"] == algorithm
    claims = jwt.decode(token, keys[header["kid"]].key, [algorithm], audience=ISSUER, options={"verify_exp": False})
    assert claims["sub"] == "system:serviceaccount:default:app"
    document = msgspec.json.decode(tokens.openid_configuration())
    assert document["jwks_uri"] == f"{ISSUER}/openid/v1/jwks"
    assert document["id_token_signing_alg_values_supported"] == [algorithm]


def test_a_key_has_one_name_whoever_signs(monkeypatch):
    """Tokens of before an update go on to count."""
    own = signing.load(KEY)
    monkeypatch.setattr(signing, "Es256Key", refuse)
    library = signing.load(KEY)
    assert type(own) is not type(library)
    assert (own.key_id, own.algorithm, own.public()) == (library.key_id, library.algorithm, library.public())
    for one, other in ((own, library), (library, own)):
        assert msgspec.json.decode(other.verify(one.sign({"sub": "x"}))) == {"sub": "x"}


def refuse(pem):
    raise ValueError


def test_what_a_head_may_not_say_is_refused():
    own = signing.load(KEY)
    key = serialization.load_pem_private_key(KEY, None)
    assert own.verify(jwt.encode({}, key, "ES256")) == b"{}", "a token without a key's name"
    assert own.verify(jwt.encode({}, key, "ES256", headers={"kid": "another"})) is None
    assert own.verify(jwt.encode({}, key, "ES256", headers={"crit": ["x"], "x": 1})) is None
    assert own.verify(jwt.encode({}, "secret" * 8, "HS256")) is None
    for spoilt in (
        "..",
        "a.b.c",
        "\u00e4.\u00e4.\u00e4",
        own.sign({}) + "A",
        own.sign({})[1:],
        own.sign({}).replace(".", ""),
    ):
        assert own.verify(spoilt) is None


@pytest.fixture
def authenticator(tokens, clock, tmp_path):
    file = tmp_path / "tokens.csv"
    file.write_text('secret,bench,42,"system:masters,more"\nplain,alice,7\n')
    return Authenticator([TokenFile.load(file), tokens], clock)


def bearer(token):
    return {b"authorization": b"Bearer " + token.encode()}


def test_bearer_tokens(authenticator, tokens):
    assert authenticator.authenticate({}, bearer("secret")).groups == ("system:masters", "more", "system:authenticated")
    assert authenticator.authenticate({}, bearer("plain")).name == "alice"
    assert authenticator.authenticate({}, bearer(sign(tokens))).name == "system:serviceaccount:default:app"
    subprotocol = b"v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.cGxhaW4"
    assert authenticator.authenticate({}, {b"sec-websocket-protocol": subprotocol}).name == "alice"


def test_an_unknown_token_is_refused_in_upstream_s_words(authenticator, tokens):
    for token in ("unknown", sign(tokens, audiences=["vault"])):
        with pytest.raises(errors.Unauthorized) as caught:
            authenticator.authenticate({}, bearer(token))
        assert caught.value.message == "Unauthorized"
        assert caught.value.code == 401


def test_nobody_known_is_anonymous(authenticator, clock):
    assert authenticator.authenticate({}, {}).name == "system:anonymous"
    assert authenticator.authenticate({}, {b"authorization": b"Basic eDp5"}).name == "system:anonymous"
    with pytest.raises(errors.Unauthorized):
        Authenticator([], clock, anonymous=False).authenticate({}, {})


def test_a_spoilt_token_file_is_told(tmp_path):
    file = tmp_path / "tokens.csv"
    file.write_text("ok,a,1\nbad,b\n")
    with pytest.raises(TokenFileError, match=r"tokens.csv:2: want token,user,uid"):
        TokenFile.load(file)
    with pytest.raises(TokenFileError, match="cannot be read"):
        TokenFile.load(tmp_path / "none")
