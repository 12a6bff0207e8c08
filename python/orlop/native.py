"""The one place that imports the Rust extension. Rooms import from here, never from `orlop._core`."""

from orlop._core import (
    Decision as Decision,
    Expired as Expired,
    ForwardChanges as ForwardChanges,
    ForwardTable as ForwardTable,
    Hub as Hub,
    ListResult as ListResult,
    PodFacts as PodFacts,
    SchedulerCore as SchedulerCore,
    ServicePort as ServicePort,
    Watcher as Watcher,
    WireError as WireError,
    __version__ as __version__,
    wire_decode as wire_decode,
    wire_describe as wire_describe,
    wire_encode_protobuf as wire_encode_protobuf,
    wire_encode_protobuf_list as wire_encode_protobuf_list,
    wire_json_merge as wire_json_merge,
    wire_peek as wire_peek,
    wire_strategic_merge as wire_strategic_merge,
    wire_watch_frame_protobuf as wire_watch_frame_protobuf,
)
