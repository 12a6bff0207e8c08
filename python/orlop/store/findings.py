"""What a check of a store says."""

import msgspec

PRESENT = "the object's present state is lost: write it again (kubectl apply), or restore a backup"
PAST = "only reads of the past need it; `orlop store restore --salvage` makes a store without it"
INDEX = "the record is there: `orlop store restore --salvage` makes a store with new indexes"
WHOLE = "restore a backup; `orlop store restore --salvage` makes a store of what can be read"


class Finding(msgspec.Struct, frozen=True):
    """Damage."""

    where: str
    """The object, or the part of the store."""
    revision: int
    what: str
    advice: str


class Counted(msgspec.Struct):
    """What was looked at."""

    revision: int = 0
    objects: int = 0
    versions: int = 0
    times: int = 0
