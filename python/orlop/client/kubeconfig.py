"""Kubeconfig files: read for a connection, and edited without touching what is not ours.

Which files count, and which wins, is client-go's tools/clientcmd: the path given, else `KUBECONFIG` (several files, the
first to say something wins), else `~/.kube/config`. Edits are made in the YAML tree, so that every other entry keeps
its exact values; they are written beside the file and moved over it (mode 0600), under the lock kubectl takes too.
"""

import base64
import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import yaml

from orlop.client.tls import Settings

LOCK_TRIES = 100
LOCK_WAIT = 0.05
"""How often, and after how many seconds, the lock file of a kubectl at work is tried again."""


class KubeconfigError(ValueError):
    """A kubeconfig that cannot be used; the message names file, field and fix."""


class Entry(msgspec.Struct, kw_only=True):
    """A cluster, a user and a context, all of one name."""

    name: str
    server: str
    ca_data: bytes = b""
    client_certificate_data: bytes = b""
    client_key_data: bytes = b""
    token: str = ""
    namespace: str = ""


def paths(path: str | Path | None = None, environ: Mapping[str, str] = os.environ) -> list[Path]:
    """The files that count, first wins."""
    if path:
        return [Path(path)]
    named = [Path(p) for p in environ.get("KUBECONFIG", "").split(os.pathsep) if p]
    return list(dict.fromkeys(named)) or [Path(environ.get("HOME") or Path.home()) / ".kube" / "config"]


# --- reading


def load(
    path: str | Path | None = None, context: str | None = None, environ: Mapping[str, str] = os.environ
) -> Settings:
    """The connection that the context (the current one if none is named) describes.

    Raises KubeconfigError if a file cannot be read, or what a context names is not there.
    """
    files = paths(path, environ)
    loaded = [(file, _read(file)) for file in files if path or file.exists()]
    if not loaded:
        raise KubeconfigError(
            f"no kubeconfig found: looked for {', '.join(map(str, files))}; set KUBECONFIG or --kubeconfig"
        )
    current = context or next((c for _, config in loaded if (c := config.get("current-context"))), "")
    if not current:
        raise KubeconfigError(f"{loaded[0][0]}: current-context is not set; name a context")
    _, chosen = _find(loaded, "contexts", "context", current, f'context "{current}" does not exist')
    cluster_file, cluster = _find(
        loaded, "clusters", "cluster", chosen.get("cluster", ""), f'cluster of context "{current}" does not exist'
    )
    user_file, user = cluster_file, dict[str, Any]()
    if chosen.get("user"):
        user_file, user = _find(loaded, "users", "user", chosen["user"], f'user of context "{current}" does not exist')
    if "exec" in user or "auth-provider" in user:
        kind = "exec" if "exec" in user else "auth-provider"
        raise KubeconfigError(
            f'{user_file}: user "{chosen["user"]}": {kind} credentials are not supported; use a token or a certificate'
        )
    server = cluster.get("server", "")
    if not server:
        raise KubeconfigError(f'{cluster_file}: cluster "{chosen.get("cluster")}": server is not set')
    return Settings(
        server=server,
        ca_data=_data(cluster_file, cluster, "certificate-authority"),
        insecure_skip_tls_verify=bool(cluster.get("insecure-skip-tls-verify", False)),
        tls_server_name=cluster.get("tls-server-name", ""),
        client_certificate_data=_data(user_file, user, "client-certificate"),
        client_key_data=_data(user_file, user, "client-key"),
        token=user.get("token", ""),
        token_file=str(user_file.parent / user["tokenFile"]) if user.get("tokenFile") else "",
        username=user.get("username", ""),
        password=user.get("password", ""),
        namespace=chosen.get("namespace") or "default",
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(file.read_text())
    except OSError as error:
        raise KubeconfigError(f"{file}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise KubeconfigError(f"{file}: not valid YAML: {error}") from error
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise KubeconfigError(f"{file}: not a kubeconfig: expected a mapping at the top")
    return config


def _find(
    loaded: list[tuple[Path, dict[str, Any]]], section: str, key: str, name: str, missing: str
) -> tuple[Path, dict[str, Any]]:
    for file, config in loaded:
        for entry in config.get(section) or ():
            if entry.get("name") == name:
                return file, entry.get(key) or {}
    raise KubeconfigError(f"{', '.join(str(f) for f, _ in loaded)}: {missing}")


def _data(file: Path, fields: Mapping[str, Any], name: str) -> bytes:
    """Embedded data goes before a file; a file is relative to the kubeconfig."""
    if encoded := fields.get(f"{name}-data"):
        try:
            return base64.b64decode(encoded, validate=True)
        except ValueError as error:
            raise KubeconfigError(f"{file}: {name}-data is not valid base64: {error}") from error
    if named := fields.get(name):
        source: Path = file.parent / named
        try:
            return source.read_bytes()
        except OSError as error:
            raise KubeconfigError(f"{file}: {name}: {source}: {error.strerror}") from error
    return b""


# --- writing


def render(entry: Entry) -> str:
    """A kubeconfig with this entry alone, its context the current one."""
    config = _Config(None)
    config.put(entry)
    config.set_current(entry.name)
    return config.text()


def merge(
    entry: Entry,
    path: str | Path | None = None,
    *,
    set_current: bool = True,
    environ: Mapping[str, str] = os.environ,
) -> Path:
    """Puts the entry into the user's kubeconfig, in place of one of the same name; gives the file written.

    Every other entry stays as it is. Raises KubeconfigError when a file cannot be read, written or locked.
    """
    files = paths(path, environ)
    target = _holder(files, entry.name) or next((f for f in files if f.exists()), files[-1])
    with _editing(target) as config:
        config.put(entry)
        if set_current and target == _current_holder(files, target):
            config.set_current(entry.name)
    if set_current and (holder := _current_holder(files, target)) != target:
        with _editing(holder) as config:
            config.set_current(entry.name)
    return target


def remove(name: str, path: str | Path | None = None, *, environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Takes out what has that name, and current-context where it says so. Gives the files changed.

    Raises KubeconfigError when a file cannot be read, written or locked.
    """
    changed = []
    for file in paths(path, environ):
        try:
            concerned = file.exists() and name in file.read_text()
        except OSError as error:
            raise KubeconfigError(f"{file}: {error.strerror}") from error
        if concerned:
            with _editing(file) as config:
                if config.take(name):
                    changed.append(file)
    return changed


def _holder(files: list[Path], name: str) -> Path | None:
    for file in files:
        if file.exists() and any(c.get("name") == name for c in _read(file).get("contexts") or ()):
            return file
    return None


def _current_holder(files: list[Path], otherwise: Path) -> Path:
    """The file whose current-context counts."""
    return next((f for f in files if f.exists() and _read(f).get("current-context")), otherwise)


class _Config:
    """A kubeconfig's YAML tree. Scalars keep their text and quotes."""

    def __init__(self, text: str | None) -> None:
        root = yaml.compose(text) if text else None
        if root is None:
            root = _node({"apiVersion": "v1", "kind": "Config", "preferences": {}})
        if not isinstance(root, yaml.MappingNode):
            raise KubeconfigError("not a kubeconfig: expected a mapping at the top")
        self._root = root

    def put(self, entry: Entry) -> None:
        cluster = {"server": entry.server, **_embedded("certificate-authority-data", entry.ca_data)}
        user = {
            **_embedded("client-certificate-data", entry.client_certificate_data),
            **_embedded("client-key-data", entry.client_key_data),
            **({"token": entry.token} if entry.token else {}),
        }
        context = {"cluster": entry.name, "user": entry.name}
        if entry.namespace:
            context["namespace"] = entry.namespace
        self._put("clusters", entry.name, {"cluster": cluster, "name": entry.name})
        self._put("contexts", entry.name, {"context": context, "name": entry.name})
        self._put("users", entry.name, {"name": entry.name, "user": user})

    def take(self, name: str) -> bool:
        found = False
        for section in ("clusters", "contexts", "users"):
            entries = self._entries(section)
            if entries is not None and (at := _position(entries, name)) is not None:
                del entries[at]
                found = True
        current = _get(self._root, "current-context")
        if current is not None and current.value == name:
            self.set_current("")
            found = True
        return found

    def set_current(self, name: str) -> None:
        _set(self._root, "current-context", _node(name))

    def text(self) -> str:
        return yaml.serialize(self._root)

    def _put(self, section: str, name: str, value: dict[str, Any]) -> None:
        entries = self._entries(section)
        if entries is None:
            node = yaml.SequenceNode("tag:yaml.org,2002:seq", [], flow_style=False)
            _set(self._root, section, node)
            entries = node.value
        at = _position(entries, name)
        if at is None:
            entries.append(_node(value))
        else:
            entries[at] = _node(value)

    def _entries(self, section: str) -> list[yaml.Node] | None:
        node = _get(self._root, section)
        if not isinstance(node, yaml.SequenceNode):
            return None
        if not node.value:
            node.flow_style = False  # `clusters: []` of an empty kubeconfig
        entries: list[yaml.Node] = node.value
        return entries


def _embedded(key: str, data: bytes) -> dict[str, str]:
    return {key: base64.b64encode(data).decode()} if data else {}


def _node(value: Any) -> yaml.Node:
    node = yaml.compose(yaml.safe_dump(value, sort_keys=False, width=1 << 30))
    assert node is not None
    return node


def _get(mapping: yaml.MappingNode, key: str) -> Any:
    return next((v for k, v in mapping.value if k.value == key), None)


def _set(mapping: yaml.MappingNode, key: str, value: yaml.Node) -> None:
    for at, (k, _) in enumerate(mapping.value):
        if k.value == key:
            mapping.value[at] = (k, value)
            return
    mapping.value.append((_node(key), value))


def _position(entries: list[yaml.Node], name: str) -> int | None:
    for at, entry in enumerate(entries):
        if isinstance(entry, yaml.MappingNode) and (node := _get(entry, "name")) is not None and node.value == name:
            return at
    return None


@contextmanager
def _editing(file: Path) -> Iterator[_Config]:
    """Reads the file, gives its tree, and writes it back as a whole if the block ends well."""
    file = file.resolve()  # a link stays a link
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        with _locked(file):
            config = _Config(file.read_text() if file.exists() else None)
            yield config
            beside = file.with_name(f".{file.name}.{os.getpid()}")
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                with open(descriptor, "w") as out:
                    out.write(config.text())
                    out.flush()
                    os.fsync(out.fileno())
                os.replace(beside, file)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise KubeconfigError(f"{file}: cannot be written: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise KubeconfigError(f"{file}: not valid YAML: {error}") from error


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Holds the folder's lock against other processes of ours, and kubectl's lock file against kubectl."""
    folder = os.open(file.parent, os.O_RDONLY)
    lock = file.with_name(file.name + ".lock")
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        for _ in range(LOCK_TRIES):
            try:
                os.close(os.open(lock, os.O_CREAT | os.O_EXCL, 0))
                break
            except FileExistsError:
                Event().wait(LOCK_WAIT)
        else:
            raise KubeconfigError(
                f"{lock} exists: another program writes the kubeconfig, or died while it did; if none does, remove it"
            )
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)
    finally:
        os.close(folder)
