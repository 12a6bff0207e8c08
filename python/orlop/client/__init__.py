"""The client of the API: requests, watches, caches, queues, leases and events. The HTTP library loads at first use."""

from orlop.client.client import Client as Client, Event as Event
from orlop.client.decode import Head as Head, Listed as Listed, Meta as Meta, copy as copy
from orlop.client.events import Recorder as Recorder
from orlop.client.informer import Handler as Handler, Informer as Informer, Informers as Informers
from orlop.client.leader import LeaderElector as LeaderElector, LeadershipLost as LeadershipLost
from orlop.client.transport import (
    Response as Response,
    Stream as Stream,
    Transport as Transport,
    Unreachable as Unreachable,
    WebSocket as WebSocket,
)
from orlop.client.workqueue import QueueClosed as QueueClosed, WorkQueue as WorkQueue
