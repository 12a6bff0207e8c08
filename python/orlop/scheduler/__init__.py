"""The scheduler: watches pods without a node and binds each to the best one. An API client like any other."""

from orlop.scheduler.scheduler import Scheduler as Scheduler
