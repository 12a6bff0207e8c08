"""Unpacks one layer (OCI image specification, "Image Layer Filesystem Changeset") into a lower for overlayfs."""

import contextlib
import errno
import os
import re
import stat
import tarfile
from typing import cast

import msgspec

from orlop.kubelet.runtime.native.images.abilities import Abilities
from orlop.kubelet.runtime.native.images.model import bad
from orlop.kubelet.runtime.native.images.streams import Forward, members
from orlop.kubelet.runtime.native.images.tree import Folder, Parts, Tree, split

MAX_ENTRIES = 4_000_000
"""Members of one layer. Each takes an inode: more would use up most file systems'."""

WHITEOUT = b".wh."
OPAQUE = b".wh..wh..opq"
METADATA = b".wh..wh."
"""Files of AUFS that some archives still carry; they mean nothing to anybody."""

_XATTR = "SCHILY.xattr."
_OVERLAY = ("trusted.overlay.", "user.overlay.")
"""Attributes that would steer our overlay mounts: never taken from an archive."""
_TIME = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]*))?")


class Unpacked(msgspec.Struct):
    """What a layer took, and what of it could not be kept."""

    size: int = 0
    """Bytes of file content."""
    inodes: int = 0
    opaque_root: bool = False
    """Nothing of the layers below shows: a mount's root cannot be opaque, so they are left out of it."""
    flattened: bool = False
    """Everything belongs to whoever unpacked it."""
    skipped_devices: int = 0
    skipped_attributes: int = 0


class Unpacker:
    """Writes the members of one archive into a tree."""

    def __init__(self, source: Forward, tree: Tree, abilities: Abilities) -> None:
        self._source = source
        self._tree = tree
        self._can = abilities
        self._folders: dict[Parts, tarfile.TarInfo] = {}
        self._root_named = False
        self.result = Unpacked(flattened=not abilities.owners)

    def run(self) -> Unpacked:
        """Reads the archive to its end. Raises ImageFailure, OSError, and what damaged streams raise (DAMAGED)."""
        for member in members(self._source):
            self.result.inodes += 1
            if self.result.inodes > MAX_ENTRIES:
                raise bad(f"the archive has more than {MAX_ENTRIES} files")
            self._member(member)
        self._finish()
        self._source.rest()
        return self.result

    def _member(self, member: tarfile.TarInfo) -> None:
        path = split(_bytes(member.name))
        if not path:
            if member.isdir():
                self._root_named = True
                self._folders[()] = member
            return
        *above, name = path
        if name.startswith(WHITEOUT):
            self._whiteout(self._tree.folder(tuple(above)), name)
            return
        at = self._tree.folder(tuple(above))
        if member.isdir():
            os.close(self._tree.make_folder(at, name))
            # Its mode and time come last: a read-only folder could not be filled, and filling changes the time.
            self._folders[(*at.path, name)] = member
            return
        if member.islnk():
            self._hard_link(member, at, name)
            return
        try:
            self._make(member, at, name)
        except FileExistsError:
            self._clear(at, name)
            self._make(member, at, name)

    def _make(self, member: tarfile.TarInfo, at: Folder, name: bytes) -> None:
        """Makes what is no folder and no hard link. Raises FileExistsError before any data is read."""
        if member.isreg():
            self._file(member, at, name)
            return
        if member.issym():
            os.symlink(_bytes(member.linkname), name, dir_fd=at.fd)
        elif member.isfifo():
            os.mkfifo(name, 0o600, dir_fd=at.fd)
        elif member.ischr() or member.isblk():
            if not self._can.devices:
                self.result.skipped_devices += 1
                return
            kind = stat.S_IFCHR if member.ischr() else stat.S_IFBLK
            os.mknod(name, kind | 0o600, os.makedev(member.devmajor, member.devminor), dir_fd=at.fd)
        else:
            raise bad(f"the archive has a member {member.name!r} of unknown type {member.type!r}")
        self._special(member, at, name)

    def _clear(self, at: Folder, name: bytes) -> None:
        if self._tree.clear(at, name):
            gone = (*at.path, name)
            for path in [p for p in self._folders if p[: len(gone)] == gone]:
                del self._folders[path]

    def _whiteout(self, at: Folder, name: bytes) -> None:
        if name == OPAQUE:
            if at.path:
                self._tree.hide_lower(at.fd, at.path)
            else:
                self._tree.hide_all_lower()
                self.result.opaque_root = True
        elif not name.startswith(METADATA):
            hidden = name.removeprefix(WHITEOUT)
            if hidden in (b"", b".", b".."):
                raise bad(f"the archive has a whiteout of {os.fsdecode(hidden)!r}")
            self._tree.hide(at, hidden)

    def _hard_link(self, member: tarfile.TarInfo, at: Folder, name: bytes) -> None:
        target = split(_bytes(member.linkname))
        if not target:
            raise bad(f"the archive has a hard link {member.name!r} to a folder")
        # Asking for the target's folder may let go of ours.
        here = os.dup(at.fd)
        try:
            source = self._tree.folder(target[:-1])
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.lstat(name, dir_fd=here), os.lstat(target[-1], dir_fd=source.fd)):
                    return
            self._clear(Folder(here, at.path), name)
            source = self._tree.folder(target[:-1])
            os.link(target[-1], name, src_dir_fd=source.fd, dst_dir_fd=here, follow_symlinks=False)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EPERM, errno.EXDEV):
                raise bad(
                    f"the archive has a hard link {member.name!r} to {member.linkname!r}, which it lacks"
                ) from error
            raise
        finally:
            os.close(here)

    def _file(self, member: tarfile.TarInfo, at: Folder, name: bytes) -> None:
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=at.fd)
        try:
            self.result.size += self._content(member, fd)
            self._describe(member, fd)
        finally:
            os.close(fd)

    def _content(self, member: tarfile.TarInfo, fd: int) -> int:
        if member.sparse is None:
            self._copy(fd, member.size)
            return member.size
        written = 0
        pieces = cast(list[tuple[int, int]], member.sparse)  # typeshed says bytes
        for offset, size in pieces:
            if offset < 0 or size < 0:
                raise bad(f"the archive has a damaged map of the sparse file {member.name!r}")
            os.lseek(fd, offset, os.SEEK_SET)
            self._copy(fd, size)
            written += size
        os.ftruncate(fd, member.size)
        return written

    def _copy(self, fd: int, size: int) -> None:
        while size > 0:
            piece = self._source.data(size)
            size -= len(piece)
            while piece:
                piece = piece[os.write(fd, piece) :]

    def _special(self, member: tarfile.TarInfo, at: Folder, name: bytes) -> None:
        """Owner, mode, attributes and time of what cannot be opened: a link, a device, a pipe."""
        if self._can.owners:
            os.chown(name, member.uid, member.gid, dir_fd=at.fd, follow_symlinks=False)
        if not member.issym():
            os.chmod(name, member.mode & 0o7777, dir_fd=at.fd)
        self._attributes(member, b"/proc/self/fd/%d/%s" % (at.fd, name))
        os.utime(name, ns=_times(member), dir_fd=at.fd, follow_symlinks=False)

    def _describe(self, member: tarfile.TarInfo, fd: int) -> None:
        """Owner, mode, attributes and time of a file or folder: each after what would change it again."""
        if self._can.owners:
            os.fchown(fd, member.uid, member.gid)
        os.fchmod(fd, member.mode & 0o7777)
        self._attributes(member, fd)
        os.utime(fd, ns=_times(member))

    def _attributes(self, member: tarfile.TarInfo, target: int | bytes) -> None:
        """After the owner: a change of owner takes capabilities away."""
        for key, value in member.pax_headers.items():
            if not key.startswith(_XATTR):
                continue
            name = key.removeprefix(_XATTR)
            if name.startswith(_OVERLAY):
                continue
            try:
                if isinstance(target, int):
                    os.setxattr(target, name, _bytes(value))
                else:
                    os.setxattr(target, name, _bytes(value), follow_symlinks=False)
            except OSError as error:
                if error.errno not in (errno.ENOTSUP, errno.EPERM):
                    raise
                self.result.skipped_attributes += 1

    def _finish(self) -> None:
        if not self._root_named:
            self._tree.copy_lower(self._tree.root.fd, ())
        self._tree.tidy()
        # The deepest first: setting up a folder changes the one above it only where it is not yet done.
        for path in sorted(self._folders, key=len, reverse=True):
            fd = self._tree.existing(path)
            if fd is None:
                continue  # a later member took its place
            member = self._folders[path]
            try:
                self._describe(member, fd)
            finally:
                os.close(fd)


def _bytes(text: str) -> bytes:
    """A name or value as it stood in the archive."""
    return text.encode("utf-8", "surrogateescape")


def _times(member: tarfile.TarInfo) -> tuple[int, int]:
    """Access and modification time in nanoseconds; the header's fraction exactly, not through a float."""
    modified = _nanoseconds(member.pax_headers.get("mtime"), member.mtime)
    return _nanoseconds(member.pax_headers.get("atime"), None) or modified, modified


def _nanoseconds(text: str | None, otherwise: float | None) -> int:
    if text is None:
        return int(otherwise or 0) * 10**9
    if (match := _TIME.fullmatch(text)) is None:
        raise bad(f"the archive has a damaged time {text!r}")
    sign, seconds, fraction = match.groups()
    count = int(seconds) * 10**9 + int((fraction or "")[:9].ljust(9, "0"))
    return -count if sign else count
