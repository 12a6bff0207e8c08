"""What this process may do to files where the store lies: tried, not guessed from the user's number."""

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

_OPAQUE = "overlay.opaque"


class Abilities(msgspec.Struct, frozen=True):
    """Each is False where the kernel refuses it: without root, in a user namespace, on a file system without it."""

    owners: bool
    """Files can be given to others."""
    devices: bool
    trusted: bool
    """`trusted.*` attributes, which overlayfs reads when root mounts it."""
    attributes: bool
    """`user.*` attributes, which overlayfs reads with its `userxattr` option."""

    @property
    def opaque(self) -> str | None:
        """The attribute that hides a folder's lower content; None where overlayfs cannot be told."""
        return f"trusted.{_OPAQUE}" if self.trusted else f"user.{_OPAQUE}" if self.attributes else None

    @property
    def weaker(self) -> str:
        """What is not kept of an image, in words for a person."""
        lost = [
            *([] if self.owners else ["all files belong to you"]),
            *([] if self.devices else ["device files are left out"]),
            *([] if self.opaque else ["layers that hide others' content cannot be unpacked"]),
        ]
        return f"not everything of an image can be kept without root: {', '.join(lost)}" if lost else ""


def probe(folder: Path) -> Abilities:
    """Tries each on a file in `folder`."""
    fd, name = tempfile.mkstemp(dir=folder, prefix=".probe-")
    try:
        return Abilities(
            owners=_can(lambda: os.fchown(fd, 1, 1)),
            devices=_can(lambda: _device(name + "d")),
            # By their real names: an overlay takes other attributes, but may refuse those of its own kind.
            trusted=_can(lambda: os.setxattr(fd, f"trusted.{_OPAQUE}", b"y")),
            attributes=_can(lambda: os.setxattr(fd, f"user.{_OPAQUE}", b"y")),
        )
    finally:
        os.close(fd)
        # Somebody who collects garbage may have been here first.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def _device(name: str) -> None:
    os.mknod(name, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name)


def _can(action: Callable[[], None]) -> bool:
    try:
        action()
    except OSError:
        return False
    return True
