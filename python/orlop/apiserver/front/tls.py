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
    ) -> None:
        self._serving = serving
        self._client_ca = client_ca
        self._others = others
        self.only_tls13 = only_tls13

    def read(self) -> tuple[list[Shown], bytes]:
        """(certificates, the first for everyone; the authority of client certificates). Raises OSError, PkiError."""
        pair = self._serving()
        shown: list[Shown] = [(pair.certificate, pair.key, [])]
        shown += [(o.certificate_file.read_bytes(), o.key_file.read_bytes(), list(o.names)) for o in self._others]
        return shown, self._client_ca()
