"""HorizontalPodAutoscalers: replicas by load. Upstream: pkg/controller/podautoscaler.

`metrics` asks the metrics APIs, `calculator` makes numbers of replicas of what they say, `behavior` keeps those steady,
`scales` reads and writes the target, `controller` puts it together and says so in conditions.
"""

from orlop.controllers.podautoscaler.controller import (
    HorizontalPodAutoscalerController as HorizontalPodAutoscalerController,
)
