"""The resource metrics API, metrics.k8s.io: what metrics-server is elsewhere, within this server.

Nothing else knows of it but discovery, which lists its kinds, and the app, which asks `answer` for its group; whoever
registers a metrics server of their own takes the group's place there.
"""

from orlop.apiserver.resourcemetrics.handlers import answer
from orlop.apiserver.resourcemetrics.kinds import GROUP, KINDS, VERSION
from orlop.apiserver.resourcemetrics.scraper import Scraper

__all__ = ["GROUP", "KINDS", "VERSION", "Scraper", "answer"]
