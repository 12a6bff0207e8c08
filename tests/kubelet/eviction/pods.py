"""Pods for the tests of eviction."""

from typing import Any

import msgspec

from orlop.api.types import core_v1


def pod(
    name: str,
    *,
    requests: dict[str, str] | None = None,
    limits: dict[str, str] | None = None,
    priority: int | None = None,
    namespace: str = "default",
    **spec: Any,
) -> core_v1.Pod:
    """A bound pod of one container `main`; its uid is its name."""
    container = {"name": "main", "image": "app:1", "resources": {"requests": requests or {}, "limits": limits or {}}}
    document = {
        "metadata": {"name": name, "namespace": namespace, "uid": name},
        "spec": {"nodeName": "n1", "priority": priority, "containers": [container], **spec},
    }
    return msgspec.convert(document, core_v1.Pod)
