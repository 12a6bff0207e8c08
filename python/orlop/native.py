"""The one place that imports the Rust extension. Rooms import from here, never from `orlop._core`."""

from orlop._core import (
    Expired as Expired,
)
from orlop._core import ForwardChanges as ForwardChanges
from orlop._core import ForwardTable as ForwardTable
from orlop._core import (
    Hub as Hub,
)
from orlop._core import (
    ListResult as ListResult,
)
from orlop._core import ServicePort as ServicePort
from orlop._core import (
    Watcher as Watcher,
)
from orlop._core import (
    WireError as WireError,
)
from orlop._core import (
    __version__ as __version__,
)
from orlop._core import (
    wire_decode as wire_decode,
)
from orlop._core import wire_encode_protobuf as wire_encode_protobuf
from orlop._core import wire_encode_protobuf_list as wire_encode_protobuf_list
from orlop._core import (
    wire_peek as wire_peek,
)
from orlop._core import wire_watch_frame_protobuf as wire_watch_frame_protobuf
from orlop._core import Decision as Decision
from orlop._core import PodFacts as PodFacts
from orlop._core import SchedulerCore as SchedulerCore
