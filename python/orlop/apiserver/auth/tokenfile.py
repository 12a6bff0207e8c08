"""The static token file: `token,user,uid,"group1,group2"` a line, for tests and benchmarks (--token-auth-file)."""

import csv
from pathlib import Path

from orlop.apiserver.auth.user import User, authenticated


class TokenFileError(Exception):
    """A token file that cannot be used; the message names the line."""


class TokenFile:
    """Tokens that never expire. Read once, at start."""

    def __init__(self, users: dict[str, User]) -> None:
        self._users = users

    @classmethod
    def load(cls, path: Path) -> "TokenFile":
        """Reads the file. Raises TokenFileError."""
        users: dict[str, User] = {}
        try:
            with path.open(newline="") as file:
                for number, row in enumerate(csv.reader(file, skipinitialspace=True), 1):
                    if not row:
                        continue
                    if len(row) < 3:
                        raise TokenFileError(f"{path}:{number}: want token,user,uid[,groups], found {len(row)} columns")
                    if not row[0]:
                        raise TokenFileError(f"{path}:{number}: the token is empty")
                    groups = tuple(group.strip() for group in row[3].split(",")) if len(row) > 3 and row[3] else ()
                    users[row[0]] = authenticated(User(row[1], groups, row[2]))
        except OSError as error:
            raise TokenFileError(f"{path} cannot be read: {error.strerror}") from error
        return cls(users)

    def authenticate(self, token: str, audiences: tuple[str, ...] = ()) -> tuple[User, list[str]] | None:
        """The token's user; these tokens are for no audience in particular. None for a token that is not listed."""
        user = self._users.get(token)
        return None if user is None else (user, list(audiences))
