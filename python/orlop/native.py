"""The one place that imports the Rust extension. Rooms import from here, never from `orlop._core`."""

from orlop._core import (
    WireError as WireError,
)
from orlop._core import (
    __version__ as __version__,
)
from orlop._core import (
    wire_decode as wire_decode,
)
from orlop._core import (
    wire_peek as wire_peek,
)
