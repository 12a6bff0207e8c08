"""What the listener's TLS is made from, read anew when it may have changed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from orlop.pki import KeyPair


class SniCertificate(NamedTuple):
    """A certificate that is shown to clients who ask for certain names."""

    certificate_file: Path
    key_file: Path
    names: tuple[str, ...] = ()
    """Names or `*.suffix`; none: those that the certificate is for."""

    @classmethod
    def parse(cls, text: str) -> "SniCertificate":
        """`CERTIFICATE,KEY[:NAME,…]`, as upstream's --tls-sni-cert-key. Raises ValueError."""
        files, _, names = text.partition(":")
        certificate, comma, key = files.partition(",")
        if not comma or not certificate or not key:
            raise ValueError(f"{text}: expected CERTIFICATE,KEY or CERTIFICATE,KEY:NAME,NAME")
        return cls(Path(certificate), Path(key), tuple(name.strip() for name in names.split(",") if name.strip()))


Shown = tuple[bytes, bytes, list[str]]


class Tls:
    """Certificates and the authority of clients. `read` may take milliseconds: call it in a thread."""

    def __init__(
        self,
        serving: Callable[[], KeyPair],
        client_ca: Callable[[], bytes],
        others: Sequence[SniCertificate] = (),
        *,
        only_tls13: bool = False,
        cipher_suites: Sequence[str] = (),
        files: Sequence[Path] = (),
    ) -> None:
        """`files` are what others may replace at any time, beside those of `others`; `cipher_suites` are TLS 1.2's."""
        self._serving = serving
        self._client_ca = client_ca
        self._others = others
        self.only_tls13 = only_tls13
        self.cipher_suites = list(cipher_suites)
        self.files = [*files, *(file for other in others for file in other[:2])]

    def read(self) -> tuple[list[Shown], bytes]:
        """(certificates, the first for everyone; the authority of client certificates). Raises OSError, PkiError."""
        pair = self._serving()
        shown: list[Shown] = [(pair.certificate, pair.key, [])]
        shown += [(o.certificate_file.read_bytes(), o.key_file.read_bytes(), list(o.names)) for o in self._others]
        return shown, self._client_ca()
