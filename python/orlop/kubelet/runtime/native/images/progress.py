"""How far a pull is, told as it goes."""

from typing import Protocol


class Progress(Protocol):
    """Told of every step of every layer."""

    def __call__(self, digest: str, doing: str, done: int, total: int) -> None:
        """`doing` is Waiting, Downloading, Extracting or `Pull complete`; bytes of `total`."""
        ...


def silent(digest: str, doing: str, done: int, total: int) -> None:
    """Progress that nobody looks at."""
