"""The listener's Python half: what Rust's `front` has read becomes calls of uvicorn's protocol, once per turn.

Rust owns sockets and TLS. Here each connection is an `asyncio.Transport` (`transport`), and `listener` hands out what
has come in. A handler that streams a watch or a long list finds the connection in its scope and lets Rust write
(`delivery`); where there is none, as in tests and in-process, it writes by itself.
"""

from orlop.apiserver.front.delivery import CONNECTION as CONNECTION, Delivery as Delivery, delivery_of as delivery_of
from orlop.apiserver.front.listener import Listener as Listener
from orlop.apiserver.front.tls import Tls as Tls
