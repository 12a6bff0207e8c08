"""A folder that is filled by the word of strangers: no name, `..` or symbolic link leads out of it.

Every step of a path is opened by itself, without following links, relative to the folder before it (what openat2(2)
calls RESOLVE_IN_ROOT): a link within the tree is followed as a process would that has the tree as its root.
"""

import contextlib
import errno
import os
import shutil
import stat
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import msgspec

from orlop.kubelet.runtime.native.images.model import bad

MAX_LINKS = 40
"""Symbolic links followed for one path: the kernel's own limit (MAXSYMLINKS)."""
MAX_DEPTH = 256
"""Folders within folders: deeper ones no image has, and what removes trees goes down by calling itself."""
OPEN_FOLDERS = 64
"""Descriptors kept open: archives name the files of one folder one after the other."""

Parts = tuple[bytes, ...]
WHITEOUT_DEVICE = 0
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Folder(msgspec.Struct, frozen=True):
    """An open folder of the tree and its real path from the root."""

    fd: int
    path: Parts


def split(name: bytes) -> Parts:
    """A path of an archive, from the root, `.` and `..` taken out. Raises ImageFailure when it leads above the root."""
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not parts:
                raise bad(f"the archive names {os.fsdecode(name)!r}, which is outside of the image")
            parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
    return tuple(parts)


class Tree:
    """A layer while it is unpacked at `root`; `lowers` are the layers below it, topmost first."""

    def __init__(self, root: Path, lowers: Sequence[Path] = (), opaque: str | None = None) -> None:
        self.root = Folder(os.open(root, _FOLDER), ())
        self._lowers = lowers
        self._opaque = opaque
        self._open: OrderedDict[Parts, Folder] = OrderedDict()
        self._hidden_below: set[Parts] = set()
        self._signs: set[Parts] = set()

    def close(self) -> None:
        self._forget()
        os.close(self.root.fd)

    def __enter__(self) -> "Tree":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # Folders

    def folder(self, path: Parts) -> Folder:
        """The folder there, made where it is missing. It stays open until some other ones were asked for."""
        if not path:
            return self.root
        if (found := self._open.get(path)) is not None:
            self._open.move_to_end(path)
            return found
        found = self._walk(path)
        if len(self._open) >= OPEN_FOLDERS:
            os.close(self._open.popitem(last=False)[1].fd)
        self._open[path] = found
        return found

    def _walk(self, path: Parts) -> Folder:
        stack = [Folder(os.dup(self.root.fd), ())]
        rest = list(reversed(path))
        links = 0
        try:
            while rest:
                name = rest.pop()
                if name == b"..":
                    if len(stack) > 1:
                        os.close(stack.pop().fd)
                    continue
                if len(stack) > MAX_DEPTH:
                    raise bad(f"the archive has more than {MAX_DEPTH} folders within each other")
                at = stack[-1]
                try:
                    fd = os.open(name, _FOLDER, dir_fd=at.fd)
                except FileNotFoundError:
                    fd = self._implied(at, name)
                except OSError as error:
                    if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                        raise
                    found = self._no_folder(at, name)
                    if isinstance(found, int):
                        fd = found
                    else:
                        links += 1
                        if links > MAX_LINKS:
                            raise bad(f"the archive has too many symbolic links in {_text(path)!r}") from error
                        if found.startswith(b"/"):
                            while len(stack) > 1:
                                os.close(stack.pop().fd)
                        rest += [part for part in reversed(found.split(b"/")) if part not in (b"", b".")]
                        continue
                stack.append(Folder(fd, (*at.path, name)))
            return stack.pop()
        finally:
            for folder in stack:
                os.close(folder.fd)

    def _no_folder(self, at: Folder, name: bytes) -> bytes | int:
        """What is in the way of a folder: the target of a link to follow, or a whiteout that gives way to a folder."""
        info = os.lstat(name, dir_fd=at.fd)
        if stat.S_ISLNK(info.st_mode):
            return os.readlink(name, dir_fd=at.fd)
        if is_whiteout(info):
            os.unlink(name, dir_fd=at.fd)
            fd = self._made(at, name)
            self.hide_lower(fd, (*at.path, name))
            return fd
        raise bad(f"the archive has files below {_text((*at.path, name))!r}, which is not a folder")

    def _made(self, at: Folder, name: bytes) -> int:
        os.mkdir(name, 0o755, dir_fd=at.fd)
        fd = os.open(name, _FOLDER, dir_fd=at.fd)
        os.fchmod(fd, 0o755)
        return fd

    def _implied(self, at: Folder, name: bytes) -> int:
        """A folder that the archive does not name itself: it looks as in the layers below, where they have it."""
        fd = self._made(at, name)
        self.copy_lower(fd, (*at.path, name))
        return fd

    def copy_lower(self, fd: int, path: Parts) -> None:
        """Gives a folder the owner, mode, time and attributes that it has in the layers below."""
        for lower in self._lowers:
            source, final = self._lower_folder(lower, path)
            if source is None:
                if final:
                    return
                continue
            try:
                info = os.fstat(source)
                with contextlib.suppress(PermissionError):
                    os.fchown(fd, info.st_uid, info.st_gid)
                os.fchmod(fd, stat.S_IMODE(info.st_mode))
                for attribute in os.listxattr(source):
                    if not attribute.startswith(("trusted.overlay.", "user.overlay.")):
                        os.setxattr(fd, attribute, os.getxattr(source, attribute))
                os.utime(fd, ns=(info.st_atime_ns, info.st_mtime_ns))
            finally:
                os.close(source)
            return

    def _lower_folder(self, lower: Path, path: Parts) -> tuple[int | None, bool]:
        """The folder in a layer below, no link followed; without one, whether it hides those of deeper layers."""
        fd = os.open(lower, _FOLDER)
        final = False
        for name in path:
            at = fd
            try:
                fd = os.open(name, _FOLDER, dir_fd=at)
            except FileNotFoundError:
                return None, final
            except OSError:
                return None, True
            finally:
                os.close(at)
            if self._opaque is not None and self._opaque in os.listxattr(fd):
                final = True
        return fd, final

    def existing(self, path: Parts) -> int | None:
        """A descriptor of the folder of this layer there, no link followed; None where it is none (any more)."""
        fd = os.dup(self.root.fd)
        for name in path:
            at = fd
            try:
                fd = os.open(name, _FOLDER, dir_fd=at)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    raise
                return None
            finally:
                os.close(at)
        return fd

    # What is hidden

    def hide_lower(self, fd: int, path: Parts) -> None:
        """Makes a folder opaque: nothing of the layers below shows in it."""
        if self._opaque is None:
            raise bad("the file system of the image store has no extended attributes, which whiteouts need")
        os.setxattr(fd, self._opaque, b"y")
        self._hidden_below.add(path)

    def hide_all_lower(self) -> None:
        """The same of the root, which no attribute can say: whoever mounts the layer leaves out those below."""
        self._hidden_below.add(())

    def hide(self, at: Folder, name: bytes) -> None:
        """Lets a name of the layers below vanish. What this layer itself has by that name stays."""
        path = (*at.path, name)
        try:
            info = os.lstat(name, dir_fd=at.fd)
        except FileNotFoundError:
            # Overlayfs takes a sign for what it is only where folders are merged; elsewhere it would be listed.
            if self._lower_has(path):
                os.mknod(name, stat.S_IFCHR, WHITEOUT_DEVICE, dir_fd=at.fd)
                self._signs.add(path)
            return
        if stat.S_ISDIR(info.st_mode):
            fd = os.open(name, _FOLDER, dir_fd=at.fd)
            try:
                self.hide_lower(fd, path)
            finally:
                os.close(fd)

    def _lower_has(self, path: Parts) -> bool:
        """Whether the layers below show that name."""
        for lower in self._lowers:
            source, final = self._lower_folder(lower, path[:-1])
            if source is not None:
                try:
                    return not is_whiteout(os.lstat(path[-1], dir_fd=source))
                except FileNotFoundError:
                    pass
                finally:
                    os.close(source)
            if final:
                return False
        return False

    def tidy(self) -> None:
        """Takes away the signs in folders that turned out to be opaque: they are merged with nothing."""
        for path in self._signs:
            if any(path[:n] in self._hidden_below for n in range(len(path))):
                at = self.existing(path[:-1])
                if at is not None:
                    try:
                        if is_whiteout(os.lstat(path[-1], dir_fd=at)):
                            os.unlink(path[-1], dir_fd=at)
                    except FileNotFoundError:
                        pass
                    finally:
                        os.close(at)

    # Names

    def make_folder(self, at: Folder, name: bytes) -> int:
        """A descriptor of the folder of that name, made where something else or nothing was there."""
        with contextlib.suppress(FileNotFoundError):
            info = os.lstat(name, dir_fd=at.fd)
            if stat.S_ISDIR(info.st_mode):
                return os.open(name, _FOLDER, dir_fd=at.fd)
            hidden = is_whiteout(info)
            self.clear(at, name)
            fd = self._made(at, name)
            if hidden:
                self.hide_lower(fd, (*at.path, name))
            return fd
        return self._made(at, name)

    def clear(self, at: Folder, name: bytes) -> bool:
        """Takes away what is there by that name; True where it was a folder with all that was in it."""
        try:
            os.unlink(name, dir_fd=at.fd)
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno not in (errno.EISDIR, errno.EPERM):
                raise
            shutil.rmtree(name, dir_fd=at.fd)
            self._forget(keep=at)
            gone = (*at.path, name)
            self._hidden_below = {path for path in self._hidden_below if path[: len(gone)] != gone}
            return True
        return False

    def _forget(self, keep: Folder | None = None) -> None:
        kept = [(k, f) for k, f in self._open.items() if f is keep]
        for _, folder in self._open.items():
            if folder is not keep:
                os.close(folder.fd)
        self._open = OrderedDict(kept)


def is_whiteout(info: os.stat_result) -> bool:
    """Overlayfs' sign for a name that is gone: a character device 0/0 (Documentation/filesystems/overlayfs)."""
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == WHITEOUT_DEVICE


def _text(path: Parts) -> str:
    return os.fsdecode(b"/".join(path))
