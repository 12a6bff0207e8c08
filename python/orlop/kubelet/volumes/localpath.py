"""The directories of this node that are volumes of the local-path provisioner.

A directory's life: the first pod that mounts its volume makes it, after the volume has been given a finalizer; when the
volume is being deleted and no pod here uses it, the directory is emptied, the finalizer taken off, the empty directory
removed. Whatever is interrupted is gone on with by the next run, which finds the directory. What holds data is never
removed on a guess: a directory whose volume the API does not show is left alone, unless it is empty.
"""

import asyncio
import shutil
from pathlib import Path

from orlop import logging, tasks
from orlop.api import errors, volumes as rules
from orlop.api.types import core_v1
from orlop.client.client import Client
from orlop.client.informer import Informer
from orlop.clock import Clock

RETRY_SECONDS = 30.0
"""Between tries to remove a directory that resists."""

log = logging.get("kubelet")

Volume = core_v1.PersistentVolume


class LocalPaths:
    """Makes them, knows who uses them, removes them."""

    def __init__(self, root: Path, node_name: str, client: Client, clock: Clock, group: tasks.Group) -> None:
        self._root = root
        self._node_name = node_name
        self._client = client
        self._clock = clock
        self._group = group
        self._users: dict[str, set[str]] = {}
        self._watched: dict[str, asyncio.Task[None]] = {}
        self._ending: set[str] = set()

    def keeps(self, volume: Volume) -> bool:
        """Whether the volume is a directory of this node."""
        local, annotations = volume.spec.local, volume.metadata.annotations
        return (
            annotations.get(rules.PROVISIONED_BY) == rules.LOCAL_PATH
            and annotations.get(rules.LOCAL_PATH_NODE) == self._node_name
            and local is not None
            and Path(local.path) == self._root / volume.metadata.name
        )

    async def ensure(self, volume: Volume, uid: str) -> None:
        """That the directory is there, for the pod. Any user may write it, as there is nobody to give it to."""
        name = volume.metadata.name
        self._users.setdefault(name, set()).add(uid)
        if rules.LOCAL_PATH_FINALIZER not in volume.metadata.finalizers:
            patch = {"metadata": {"uid": volume.metadata.uid, "finalizers": [rules.LOCAL_PATH_FINALIZER]}}
            await self._client.patch(Volume, name, None, patch, type="strategic")
        await asyncio.to_thread(_make, self._root / name)
        self._watch(name)

    def release(self, uid: str) -> None:
        """The pod uses none any more."""
        for name, users in list(self._users.items()):
            users.discard(uid)
            if not users:
                del self._users[name]
                if name in self._ending:
                    self._group.start(f"remove directory {name}", self._remove(name))

    async def resume(self) -> None:
        """Follows the volumes whose directories an earlier run made."""
        for name in await asyncio.to_thread(_names, self._root):
            try:
                await self._client.get(Volume, name)
            except (errors.NotFound, errors.Forbidden):
                if await asyncio.to_thread(_drop, self._root / name):
                    continue
                log.warning("Directory of a volume that is not there is kept", extra={"path": str(self._root / name)})
            else:
                self._watch(name)

    def _watch(self, name: str) -> None:
        if name in self._watched:
            return
        informer: Informer[Volume] = Informer(self._client, Volume, fields=f"metadata.name={name}")

        def changed(_old: Volume | None, new: Volume | None) -> None:
            if new is None:
                self._forget(name)
            elif new.metadata.deletion_timestamp is not None and name not in self._ending:
                self._ending.add(name)
                if name not in self._users:
                    self._group.start(f"remove directory {name}", self._remove(name))

        informer.on_change(changed)
        self._watched[name] = self._group.start(f"watch volume {name}", informer.run())

    def _forget(self, name: str) -> None:
        self._ending.discard(name)
        if (task := self._watched.pop(name, None)) is not None:
            task.cancel()

    async def _remove(self, name: str) -> None:
        """Empties the directory, lets the volume go, and then the directory itself."""
        path = self._root / name
        while True:
            try:
                await asyncio.to_thread(_empty, path)
                patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": [rules.LOCAL_PATH_FINALIZER]}}
                await self._client.patch(Volume, name, None, patch, type="strategic")
                break
            except (errors.NotFound, errors.Forbidden):
                break  # the volume is gone: somebody took the finalizer off
            except (OSError, errors.ApiError) as error:
                log.warning(
                    "Failed to remove a volume's directory, will retry", extra={"path": str(path), "err": error}
                )
            await self._clock.sleep(RETRY_SECONDS)
        await asyncio.to_thread(_drop, path)
        log.info("Removed a volume's directory", extra={"path": str(path)})


def _make(path: Path) -> None:
    if path.exists():
        return
    path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    path.mkdir()
    path.chmod(0o777)


def _names(root: Path) -> list[str]:
    return [p.name for p in root.iterdir() if p.is_dir()] if root.is_dir() else []


def _empty(path: Path) -> None:
    for entry in path.iterdir() if path.is_dir() else ():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _drop(path: Path) -> bool:
    """Removes an empty directory; whether it is gone."""
    try:
        path.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
