"""The one place that imports the Rust extension. Rooms import from here, never from `orlop._core`."""

from orlop._core import __version__ as __version__
