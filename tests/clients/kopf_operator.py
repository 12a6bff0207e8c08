"""An operator on kopf, as its authors write them: finalizers, status, events and, where it is told to, a webhook."""

import os
from typing import Any

import kopf

GROUP, VERSION, PLURAL = "farm.example.com", "v1", "fields"


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    settings.persistence.finalizer = "farm.example.com/ploughed"
    settings.posting.enabled = True
    if os.environ.get("WEBHOOK_PORT"):
        settings.admission.managed = "auto.farm.example.com"
        settings.admission.server = kopf.WebhookServer(
            host="localhost",
            addr="127.0.0.1",
            port=int(os.environ["WEBHOOK_PORT"]),
            certfile=os.environ["WEBHOOK_CERTIFICATE"],
            pkeyfile=os.environ["WEBHOOK_KEY"],
            cafile=os.environ["WEBHOOK_AUTHORITY"],
        )


@kopf.on.create(GROUP, VERSION, PLURAL)
def sow(spec: kopf.Spec, **_: Any) -> dict[str, Any]:
    return {"sown": spec["crop"]}


@kopf.on.update(GROUP, VERSION, PLURAL, field="spec.crop")
def sow_again(old: str, new: str, patch: kopf.Patch, **_: Any) -> None:
    patch.status["changed"] = f"{old} to {new}"


@kopf.on.delete(GROUP, VERSION, PLURAL)
def plough(body: kopf.Body, **_: Any) -> None:
    kopf.event(body, type="Normal", reason="Ploughed", message="nothing is left")


if os.environ.get("WEBHOOK_PORT"):

    @kopf.on.mutate(GROUP, VERSION, PLURAL, id="acres")
    def acres(spec: kopf.Spec, patch: kopf.Patch, **_: Any) -> None:
        if "acres" not in spec:
            patch.spec["acres"] = 1

    @kopf.on.validate(GROUP, VERSION, PLURAL, id="crop")
    def crop(spec: kopf.Spec, warnings: list[str], **_: Any) -> None:
        if spec.get("crop") == "stones":
            raise kopf.AdmissionError("stones do not grow", code=400)
        if spec.get("acres", 0) > 100:
            warnings.append("that is a large field")
