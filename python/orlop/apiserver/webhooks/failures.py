"""What went wrong with a call, in the words of Go's client: users search for them."""

import os
import ssl
from datetime import UTC, datetime
from http import HTTPStatus
from ipaddress import ip_address
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
_RFC3339 = "%Y-%m-%dT%H:%M:%SZ"
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


def rejected(status: int, body: bytes, *, text: bool = True) -> CallFailed:
    """An answer that is not 200; its body is told if it is `text`."""
    try:
        said = msgspec.json.decode(body, type=meta_v1.Status)
        if said.message:
            return CallFailed(said.message, status=status)
    except msgspec.MsgspecError:
        pass
    told = (body[:SHOWN].decode(errors="replace").strip() if text else "") or "unknown"
    if status == HTTPStatus.FORBIDDEN:
        return CallFailed(told, status=status)
    words = REASONS.get(status)
    if words is None:
        other = f"the server responded with the status code {status} but did not return more information"
        words = REASONS[500] if status >= 500 else other
    return CallFailed(words.format(body=f'"{_escaped(told)}"'), status=status)


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


def certificate_refused(error: BaseException) -> bool:
    """Whether it is the server's certificate that was not taken."""
    inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
    return isinstance(inner, ssl.SSLCertVerificationError)


def wrong_certificate(der: bytes, host: str, now: float) -> str:
    """What Go's crypto/x509 says first of a server's certificate that was not taken; "" where it is its issuer."""
    from cryptography import x509

    certificate = x509.load_der_x509_certificate(der)
    time = datetime.fromtimestamp(now, UTC)
    start = "tls: failed to verify certificate: x509: "
    for wrong, word, limit in (
        (time < certificate.not_valid_before_utc, "before", certificate.not_valid_before_utc),
        (time > certificate.not_valid_after_utc, "after", certificate.not_valid_after_utc),
    ):
        if wrong:
            told = f"current time {time:{_RFC3339}} is {word} {limit:{_RFC3339}}"
            return f"{start}certificate has expired or is not yet valid: {told}"
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    try:
        address = ip_address(host)
    except ValueError:
        valid = names.get_values_for_type(x509.DNSName)
        if any(_named(host.lower(), name.lower()) for name in valid):
            return ""
    else:
        addresses = names.get_values_for_type(x509.IPAddress)
        if address in addresses:
            return ""
        if not addresses:
            return f"{start}cannot validate certificate for {host} because it doesn't contain any IP SANs"
        valid = [str(one) for one in addresses]
    if not valid:
        return f"{start}certificate is not valid for any names, but wanted to match {host}"
    return f"{start}certificate is valid for {', '.join(valid)}, not {host}"


def _named(host: str, name: str) -> bool:
    """Whether a name of a certificate is the host's; `*` stands for its first part."""
    return host == name or (name.startswith("*.") and host.partition(".")[2] == name[2:])


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
