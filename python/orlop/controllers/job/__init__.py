"""Jobs: pods that are to end. Upstream: pkg/controller/job.

`controller` decides what a Job needs, `making` makes and deletes its pods, `tracking` counts those that have ended,
each once; `indexes`, `policies` and `backoff` are the rules, without any I/O.
"""

from orlop.controllers.job.controller import JobController as JobController
