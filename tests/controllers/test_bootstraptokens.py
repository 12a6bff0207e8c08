"""Signatures of cluster-info: others can check them."""

from base64 import urlsafe_b64encode

import jwt
import pytest

from orlop.controllers.bootstraptokens import Token, detached_signature


@pytest.mark.filterwarnings("ignore:The HMAC key")  # a bootstrap token's secret has sixteen characters
def test_another_library_accepts_the_signature() -> None:
    content = '{"a": 1}'
    signature = detached_signature(content, Token("abcdef", "0123456789abcdef"))
    header, nothing, tail = signature.split(".")
    assert nothing == ""
    payload = urlsafe_b64encode(content.encode()).rstrip(b"=").decode()
    whole = f"{header}.{payload}.{tail}"
    assert jwt.get_unverified_header(whole) == {"alg": "HS256", "kid": "abcdef"}
    assert jwt.decode(whole, "0123456789abcdef", algorithms=["HS256"]) == {"a": 1}
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(whole, "0123456789abcdee", algorithms=["HS256"])
