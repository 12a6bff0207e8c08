"""What went wrong with a call, in the words of Go's client: users search for them."""

import os
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from orlop.api.types import meta_v1

if TYPE_CHECKING:
    import aiohttp

REASONS = {
    400: "the server rejected our request for an unknown reason",
    401: "the server has asked for the client to provide credentials",
    404: "the server could not find the requested resource",
    405: "the server does not allow this method on the requested resource",
    409: "the server reported a conflict",
    422: "the server rejected our request due to an error in our request",
    429: "the server has received too many requests and has asked us to try again later",
    500: "an error on the server ({body}) has prevented the request from succeeding",
    503: "the server is currently unable to handle the request",
    504: "the server was unable to return a response in the time allotted, but may still be processing the request",
}
"""What client-go makes of a status without a Status."""
SHOWN = 2048
"""Bytes of a wrong answer that a message carries."""


class CallFailed(Exception):
    """A webhook could not be asked, or did not answer as agreed."""

    def __init__(self, message: str, *, timeout: bool = False, status: int = 0) -> None:
        super().__init__(message)
        self.timeout = timeout
        """Whether it was its time that ran out."""
        self.status = status
        """The HTTP status of a refusal; 0 where there was no answer."""


def rejected(status: int, body: bytes) -> CallFailed:
    """An answer that is not 200."""
    try:
        said = msgspec.json.decode(body, type=meta_v1.Status)
        if said.message:
            return CallFailed(said.message, status=status)
    except msgspec.MsgspecError:
        pass
    text = body[:SHOWN].decode(errors="replace").strip() or "unknown"
    if status == HTTPStatus.FORBIDDEN:
        return CallFailed(text, status=status)
    words = REASONS.get(status)
    if words is None:
        told = f"the server responded with the status code {status} but did not return more information"
        words = REASONS[500] if status >= 500 else told
    return CallFailed(words.format(body=f'"{_escaped(text)}"' if text != "unknown" else text), status=status)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def explain(error: "aiohttp.ClientError | OSError") -> str:
    """A failed connection in the words of Go's net and crypto packages."""
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _untrusted(error.certificate_error)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"dial tcp: lookup {error.host}: no such host"
    if isinstance(error, aiohttp.ClientConnectorError):
        inner = error.os_error
        if isinstance(inner, ssl.SSLCertVerificationError):
            return _untrusted(inner)
        if isinstance(inner, ssl.SSLError):
            return f"remote error: tls: {(inner.reason or 'handshake failure').lower().replace('_', ' ')}"
        host = f"[{error.host}]" if ":" in error.host else error.host
        words = os.strerror(inner.errno) if inner.errno else str(inner)
        return f"dial tcp {host}:{error.port}: connect: {words.lower()}"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "EOF"
    return str(error) or type(error).__name__


def _untrusted(error: Exception) -> str:
    start = "tls: failed to verify certificate: x509: "
    if not isinstance(error, ssl.SSLCertVerificationError):
        return f"{start}{error}"
    words = error.verify_message or ""
    if "mismatch" in words:
        name = words.partition("'")[2].partition("'")[0]
        return f"{start}certificate is not valid for any names, but wanted to match {name}"
    if "expired" in words:
        return f"{start}certificate has expired or is not yet valid"
    return f"{start}certificate signed by unknown authority"
