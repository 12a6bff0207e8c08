"""CronJobs: Jobs by the clock. Upstream: pkg/controller/cronjob.

`times` says when a run is due, `controller` starts it and keeps the list and the history of runs.
"""

from orlop.controllers.cronjob.controller import CronJobController as CronJobController
