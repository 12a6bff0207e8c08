"""Projections read the same JSON as the structs they are cut from."""

import msgspec

from orlop.api.types import core_v1
from orlop.controllers import views


def json_names(struct: type) -> dict[str, str]:
    return {f.name: f.encode_name for f in msgspec.structs.fields(struct)}


def test_every_projected_field_has_its_kubernetes_name() -> None:
    for view, whole in (
        (views.PodSpecView, core_v1.PodSpec),
        (views.PodStatusView, core_v1.PodStatus),
        (views.MetaView, core_v1.meta_v1.ObjectMeta),
        (views.PodConditionView, core_v1.PodCondition),
        (views.ContainerStatusView, core_v1.ContainerStatus),
        (views.ContainerPortsView, core_v1.Container),
        (views.VolumeView, core_v1.Volume),
    ):
        names = json_names(whole)
        for attribute, name in json_names(view).items():
            assert names[attribute] == name, f"{view.__name__}.{attribute}"
