"""What the front puts up with, as far as Python says it."""

HANDSHAKE_SECONDS = 10.0
"""For a TLS handshake: three round trips across the world take less than one."""
HEADER_SECONDS = 32.0
"""Until a new connection's first request header is there: upstream's ReadHeaderTimeout."""
STREAMS = 100
"""Of a connection of HTTP/2 at a time: upstream's default. Clients open another connection for more."""
CONNECTIONS = 16384
"""Connections at a time, unless fewer descriptors may be open; more wait in the kernel's queue."""
RESERVED = 512
"""Descriptors left for everything but connections."""
