"""The base of every API struct."""

import msgspec


class ApiStruct(msgspec.Struct, kw_only=True, omit_defaults=True, rename="camel", gc=False):
    """A struct of the API. Empty fields are written out or left out as Go's encoding/json does for the type.

    `gc=False`: objects of the API are trees, so the cycle collector need not look at them.
    """


def _none() -> None:
    """As a default factory: the field is always written, as null."""
