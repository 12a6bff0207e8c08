"""Many writes in one request, bulk.orlop.dev: an extension of the API that any client may use where it is served.

Nothing else knows of it but discovery, which lists its kind, and the app, which asks `answer` for its group; whoever
registers a server of their own for the group takes its place there.
"""

from orlop.apiserver.bulk.bindings import answer
from orlop.apiserver.bulk.kinds import GROUP, KINDS, VERSION

__all__ = ["GROUP", "KINDS", "VERSION", "answer"]
