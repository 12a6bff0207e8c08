"""TaintNodesByCondition: a new node takes no pods before its kubelet says that it is ready."""

from orlop.api.types import core_v1
from orlop.apiserver.admission.base import Admission, Attributes
from orlop.apiserver.admission.defaulttolerationseconds import NOT_READY


class TaintNodesByCondition(Admission):
    """Adds the not-ready taint to new nodes."""

    operations = ("CREATE",)
    resources = ("nodes",)

    async def admit(self, a: Attributes) -> None:
        node: core_v1.Node = a.object
        if not any(t.key == NOT_READY and t.effect == "NoSchedule" for t in node.spec.taints):
            node.spec.taints.append(core_v1.Taint(key=NOT_READY, effect="NoSchedule"))
