"""The client of the API: requests, watches, caches, queues, leases and events. The HTTP library loads at first use."""

from orlop.client.client import Client as Client
from orlop.client.client import Event as Event
from orlop.client.decode import Head as Head
from orlop.client.decode import Listed as Listed
from orlop.client.decode import Meta as Meta
from orlop.client.decode import copy as copy
from orlop.client.events import Recorder as Recorder
from orlop.client.informer import Handler as Handler
from orlop.client.informer import Informer as Informer
from orlop.client.informer import Informers as Informers
from orlop.client.leader import LeaderElector as LeaderElector
from orlop.client.leader import LeadershipLost as LeadershipLost
from orlop.client.transport import Response as Response
from orlop.client.transport import Stream as Stream
from orlop.client.transport import Transport as Transport
from orlop.client.transport import Unreachable as Unreachable
from orlop.client.transport import WebSocket as WebSocket
from orlop.client.workqueue import QueueClosed as QueueClosed
from orlop.client.workqueue import WorkQueue as WorkQueue
