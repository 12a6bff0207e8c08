"""Keys and certificates as files, made once and renewed in place.

The names are kubeadm's: `ca.crt` and `ca.key`, `apiserver.crt`, `sa.key`. A key is written before its certificate and
stays when the certificate is renewed, so at every moment what a reader finds belongs together. Someone who has their
own authority puts `ca.crt` and `ca.key` there before the first start.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from orlop.clock import Clock
from orlop.pki import check
from orlop.pki.identities import Identity, Names

if TYPE_CHECKING:
    from cryptography import x509

    from orlop.pki.authority import Authority, SigningKey

PRIVATE_MODE = 0o600
FOLDER_MODE = 0o700


class PkiError(Exception):
    """A file that cannot be used. The message names it and says what to do."""


class KeyPair(NamedTuple):
    """A certificate and its key, as files and as their PEM."""

    certificate_file: Path
    key_file: Path
    certificate: bytes
    key: bytes


class Folder:
    """`DATA_DIR/pki`. Every method makes what is missing, renews what is due, and returns what is there.

    Several processes may use one folder at a time: a lock file makes them take turns. Certificates' times come from
    `clock`: those of a simulated clock are refused by anyone on real time. Raises PkiError.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        self._authority: Authority | None = None

    @property
    def ca_file(self) -> Path:
        return self.path / "ca.crt"

    def ca(self) -> bytes:
        """The authority's certificate (PEM): what clients trust."""
        with self._turn():
            if not self._authority_stays():
                self._load_authority()
        return self.ca_file.read_bytes()

    def client(self, identity: Identity) -> KeyPair:
        """The client certificate of `identity`."""
        return self._pair(identity, None)

    def apiserver(self, names: Names) -> KeyPair:
        """The API server's serving certificate, answering for at least `names`."""
        return self._pair(Identity("apiserver", "kube-apiserver"), names)

    def kubelet(self, node: str, names: Names) -> KeyPair:
        """The serving certificate of the kubelet of `node`."""
        return self._pair(Identity(f"kubelet-{node}", f"system:node:{node}", ("system:nodes",)), names)

    def service_account_key(self) -> bytes:
        """The private key (PEM) that signs service account tokens; its public half is kept in `sa.pub`."""
        with self._turn():
            file, public = self.path / "sa.key", self.path / "sa.pub"
            pem = _read(file)
            if pem is None or not public.exists():
                from orlop.pki import authority as make

                if pem is None:
                    pem = make.signing_key_pem(make.new_key())
                    write_private(file, pem)
                write_private(public, make.public_pem(_load_key(file, pem)))
        return pem

    def due(self) -> bool:
        """Whether any certificate here would be renewed now. A long-running server asks once a day."""
        now = self._clock.now()
        return any(not self._lasts(file, now) for file in self.path.glob("*.crt"))

    def _lasts(self, file: Path, now: float) -> bool:
        key = file.with_suffix(".key")
        if file == self.ca_file:
            seen = check.authority(file, key)
        else:
            seen = check.pair(file, key, self.ca_file, serving=True) or check.pair(
                file, key, self.ca_file, serving=False
            )
        if seen is not None:
            return seen.lasts(now)
        from orlop.pki import authority as make

        return make.lasts(_load_certificate(file), now)

    def _pair(self, identity: Identity, names: Names | None) -> KeyPair:
        with self._turn():
            certificate_file, key_file = self._files(identity.file)
            if not self._authority_stays() or not self._stays(identity, names):
                self._make(identity, names)
            return KeyPair(certificate_file, key_file, certificate_file.read_bytes(), key_file.read_bytes())

    def _authority_stays(self) -> bool:
        seen = check.authority(*self._files("ca"))
        return seen is not None and seen.lasts(self._clock.now())

    def _stays(self, identity: Identity, names: Names | None) -> bool:
        seen = check.pair(*self._files(identity.file), self.ca_file, serving=names is not None)
        return (
            seen is not None
            and seen.lasts(self._clock.now())
            and seen.identifies(identity)
            and (names is None or seen.covers(names))
        )

    def _make(self, identity: Identity, names: Names | None) -> None:
        """A certificate of `identity` in place of one that is missing, is due or serves no more."""
        from orlop.pki import authority as make

        authority = self._load_authority()
        certificate_file, key_file = self._files(identity.file)
        key = self._load_or_create_key(key_file)
        write_private(certificate_file, make.certificate_pem(authority.issue(key, identity, names)))

    def _load_authority(self) -> "Authority":
        from orlop.pki import authority as make

        now = self._clock.now()
        if self._authority is None or not make.lasts(self._authority.certificate, now):
            certificate_file, key_file = self._files("ca")
            if certificate_file.exists() and not key_file.exists():
                raise PkiError(
                    f"{key_file} is missing but {certificate_file} is there: put the authority's key back, "
                    f"or remove {self.path} to start with a new authority (every kubeconfig must then be made anew)"
                )
            key = self._load_or_create_key(key_file)
            certificate = _load_certificate(certificate_file) if certificate_file.exists() else None
            if certificate is not None and not make.belongs(certificate, key):
                raise PkiError(f"{certificate_file} is not the certificate of {key_file}: put the right pair there")
            if certificate is None or not make.lasts(certificate, now):
                certificate = make.Authority.create(key, self._clock).certificate
                write_private(certificate_file, make.certificate_pem(certificate))
            self._authority = make.Authority(certificate, key, self._clock)
        return self._authority

    def _files(self, name: str) -> tuple[Path, Path]:
        return self.path / f"{name}.crt", self.path / f"{name}.key"

    def _load_or_create_key(self, file: Path) -> "SigningKey":
        from orlop.pki import authority as make

        pem = _read(file)
        if pem is None:
            key = make.new_key()
            write_private(file, make.key_pem(key))
            return key
        return _load_key(file, pem)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        try:
            self.path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_MODE)
        except OSError as error:
            raise PkiError(f"{self.path} cannot be used for keys and certificates: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PkiError(f"{file} cannot be read: {error.strerror}") from error


def write_private(file: Path, content: bytes) -> None:
    """Puts the whole file in place at once, on disk before it has its name."""
    temporary = file.with_name(f".{file.name}.new")
    try:
        temporary.unlink(missing_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_MODE)
        with open(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(handle)
        temporary.replace(file)
    except OSError as error:
        raise PkiError(f"{file} cannot be written: {error.strerror}") from error


def _load_key(file: Path, pem: bytes) -> "SigningKey":
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError) as error:
        raise PkiError(f"{file} holds no usable private key (PEM, without a password): {error}") from error
    return key  # type: ignore[return-value]  # RSA keys of one's own sign as well


def _load_certificate(file: Path) -> "x509.Certificate":
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except ValueError as error:
        raise PkiError(f"{file} holds no usable certificate (PEM): {error}") from error
