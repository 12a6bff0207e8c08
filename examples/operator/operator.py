"""Keeps, beside each ConfigMap labelled `shout: wanted`, another one with its values in capitals.

Run it anywhere with `kopf run operator.py`, or in the cluster as operator.yaml shows.
"""

from typing import Any

import kopf
import kubernetes


@kopf.on.resume("configmaps", labels={"shout": "wanted"})
@kopf.on.create("configmaps", labels={"shout": "wanted"})
@kopf.on.update("configmaps", labels={"shout": "wanted"}, field="data")
def shout(body: kopf.Body, name: str, namespace: str, **_: Any) -> None:
    api = kubernetes.client.CoreV1Api()
    loud = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{name}-loud", "namespace": namespace},
        "data": {key: value.upper() for key, value in body["data"].items()},
    }
    kopf.adopt(loud, owner=body)
    try:
        api.create_namespaced_config_map(namespace, loud)
    except kubernetes.client.ApiException as error:
        if error.status != 409:
            raise
        api.patch_namespaced_config_map(loud["metadata"]["name"], namespace, loud)
