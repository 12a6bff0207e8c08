"""`kube-apiserver` for envtest: orlop's API server under upstream's flags."""

import argparse
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from orlop.apiserver.admission import ASKED_FOR
from orlop.cli import apiserver
from orlop.cli.standins.etcd import STORE
from orlop.cluster.settings import SettingsError

MODES = {"Node", "RBAC"}
WITHOUT_EFFECT = ("--allow-privileged", "--service-account-key-file")
"""Flags that ask for what is so anyway: privileged pods are allowed, and tokens are read by the key that signs them."""
ETCD_SECONDS = 5.0
"""How long etcd may take to answer; envtest starts this program when it has answered already."""


def parser() -> argparse.ArgumentParser:
    """`orlop apiserver`'s flags, and those of upstream that mean something in their terms."""
    flags = argparse.ArgumentParser(prog="kube-apiserver", description=__doc__.splitlines()[0], allow_abbrev=False)
    apiserver.add_arguments(flags)
    data = next(action for action in flags._actions if action.dest == "data_dir")
    data.required = False
    data.help = "without it, etcd's folder"
    flags.add_argument("--etcd-servers", required=True, metavar="URL", help="the etcd beside this program")
    flags.add_argument("--cert-dir", type=Path, default=None, metavar="DIR", help="apiserver.crt and apiserver.key")
    flags.add_argument("--authorization-mode", default="Node,RBAC", metavar="MODE,…", help="always Node,RBAC")
    for name in WITHOUT_EFFECT:
        flags.add_argument(name, nargs="?", help="accepted, without effect")
    return flags


def main(argv: Sequence[str]) -> int:
    arguments, unknown = parser().parse_known_args(argv)
    if unknown:
        print(f"kube-apiserver: without effect in orlop: {' '.join(unknown)}", file=sys.stderr)
    try:
        _settle(arguments)
        return apiserver.run(arguments)
    except (SettingsError, OSError) as error:
        print(f"kube-apiserver: {error}", file=sys.stderr)
        return 1


def _settle(arguments: argparse.Namespace) -> None:
    """Upstream's flags in terms of `orlop apiserver`'s. Raises SettingsError."""
    # Of others that upstream has, and has no more, nothing is to be had by naming them.
    named = ASKED_FOR.intersection(arguments.enable_admission_plugins.split(","))
    arguments.enable_admission_plugins = ",".join(sorted(named))
    modes = set(arguments.authorization_mode.split(","))
    if not modes <= MODES:
        raise SettingsError(f"--authorization-mode={arguments.authorization_mode}: orlop decides by Node,RBAC alone")
    if arguments.data_dir is None:
        arguments.data_dir = store_of(arguments.etcd_servers.split(",")[0]) / "orlop"
    folder = arguments.cert_dir
    if arguments.tls_cert_file is None and folder is not None and (folder / "apiserver.crt").exists():
        arguments.tls_cert_file = folder / "apiserver.crt"
        arguments.tls_private_key_file = folder / "apiserver.key"


def store_of(url: str) -> Path:
    """The folder of the stand-in of etcd at `url`. Raises SettingsError."""
    try:
        with urllib.request.urlopen(url.rstrip("/") + STORE, timeout=ETCD_SECONDS) as answer:
            return Path(answer.read().decode())
    except (urllib.error.URLError, ValueError, OSError) as error:
        raise SettingsError(
            f"--etcd-servers={url} is not the etcd that `orlop envtest` writes ({error}): start that one, "
            f"or name a folder by --data-dir"
        ) from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
