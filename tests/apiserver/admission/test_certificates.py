"""Rules over signers: who approves, signs and vouches."""

import base64
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from tests.apiserver.conftest import Api

from orlop.apiserver.auth import User
from orlop.apiserver.server import ApiServer
from orlop.clock import SystemClock
from orlop.pki.authority import Authority, certificate_pem, new_key

REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
BUNDLES = "/apis/certificates.k8s.io/v1/clustertrustbundles"
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
RESOURCES = ["certificatesigningrequests", "certificatesigningrequests/approval", "certificatesigningrequests/status"]


def request(name: str, signer: str, organization: str = "makers") -> dict[str, Any]:
    subject = [(NameOID.ORGANIZATION_NAME, organization), (NameOID.COMMON_NAME, "jane")]
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([x509.NameAttribute(*s) for s in subject]))
    pem = made.sign(new_key(), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return {
        "metadata": {"name": name},
        "spec": {"signerName": signer, "usages": ["client auth"], "request": base64.b64encode(pem).decode()},
    }


def bundle(signer: str) -> dict[str, Any]:
    pem = certificate_pem(Authority.create(new_key(), SystemClock()).certificate).decode()
    name = signer.replace("/", ":") + ":v1"
    return {"metadata": {"name": name}, "spec": {"signerName": signer, "trustBundle": pem}}


async def clerk(server: ApiServer, api: Api, *verbs: str, signers: list[str]) -> Api:
    """Somebody who may write requests and bundles, and has these verbs for these signers."""
    group = "certificates.k8s.io"
    rules = [
        {"apiGroups": [group], "resources": [*RESOURCES, "clustertrustbundles"], "verbs": ["*"]},
        {"apiGroups": [group], "resources": ["signers"], "resourceNames": signers, "verbs": list(verbs)},
    ]
    await api.made(ROLES, {"metadata": {"name": "clerk"}, "rules": rules})
    who = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "clerk"}]
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "clerk"}
    await api.made(BINDINGS, {"metadata": {"name": "clerk"}, "roleRef": ref, "subjects": who})
    return Api(server, User("clerk", ("system:authenticated",)))


def say(csr: dict[str, Any], type_: str) -> dict[str, Any]:
    status = csr.get("status", {})
    condition = {"type": type_, "status": "True", "reason": "r", "message": "m"}
    return {**csr, "status": {**status, "conditions": [*status.get("conditions", []), condition]}}


async def test_approving_and_signing_go_by_signer(server: ApiServer, api: Api) -> None:
    own = await clerk(server, api, "approve", "sign", signers=["example.com/*", "example.org/a"])
    for signer, allowed in (("example.com/x", True), ("example.org/a", True), ("example.org/b", False)):
        name = signer.replace("/", "-")
        made = await own.made(REQUESTS, request(name, signer))
        approved = await own("PUT", f"{REQUESTS}/{name}/approval", say(made, "Approved"))
        signed = await own("PUT", f"{REQUESTS}/{name}/status", say(approved.body if allowed else made, "Failed"))
        if allowed:
            assert (approved.status, signed.status) == (200, 200)
            continue
        for answer, words in ((approved, "approve"), (signed, "sign")):
            assert (answer.status, answer.message) == (
                403,
                f'certificatesigningrequests.certificates.k8s.io "{name}" is forbidden: user not permitted to {words} '
                f'requests with signerName "{signer}"',
            )


async def test_roots_are_vouched_for_by_signer(server: ApiServer, api: Api) -> None:
    own = await clerk(server, api, "attest", signers=["example.com/x"])
    await own.made(BUNDLES, bundle("example.com/x"))
    refused = await own("POST", BUNDLES, bundle("example.com/y"))
    assert refused.status == 403
    assert refused.message.endswith('user not permitted to attest for signerName "example.com/y"')


async def test_nobody_asks_to_be_master(api: Api) -> None:
    signer = "kubernetes.io/kube-apiserver-client"
    refused = await api("POST", REQUESTS, request("a", signer, "system:masters"))
    assert refused.status == 403
    words = "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"
    assert refused.message.endswith(words)
    await api.made(REQUESTS, request("b", signer))
