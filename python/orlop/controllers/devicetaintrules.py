"""What a DeviceTaintRule's status says: upstream's maybeUpdateRuleStatus in pkg/controller/devicetainteviction."""

from dataclasses import dataclass

from orlop.api.types import meta_v1, resource_v1

IN_PROGRESS = "EvictionInProgress"
PERIOD = 10.0
"""Seconds between two changes of a rule's status while its pods leave, upstream's ruleStatusPeriod."""


@dataclass
class Found:
    """What a look for a rule has found."""

    pods: list[tuple[str, str]]
    """The pods, namespace and name, that have to leave, or would if the effect were NoExecute."""
    published: int = 0
    allocated: int = 0
    """Devices that the rule selects: those in ResourceSlices, those that claims have."""
    evicted: int = 0
    """Pods that went because of it since the controller started."""


def condition(rule: resource_v1.DeviceTaintRule, found: Found) -> meta_v1.Condition:
    """The rule's one condition, without its time."""
    status, words = "False", ""
    namespaces = len({namespace for namespace, _ in found.pods})
    match rule.spec.taint.effect:
        case "NoExecute":
            if found.pods:
                status, reason = "True", "PodsPendingEviction"
                need = "pod needs" if len(found.pods) == 1 else "pods need"
                words = f"{len(found.pods)} {need} to be evicted in {_where(namespaces)}."
            else:
                reason = "Completed" if found.evicted else "NotStarted"
        case "None":
            reason = "NoEffect"
            words = (
                f"{_count(found.published, 'published device')} selected. "
                f"{_count(found.allocated, 'allocated device')} selected. "
                f"{_count(len(found.pods), 'pod')} would be evicted in "
                f"{_where(namespaces)} if the effect was NoExecute. "
                "This information will not be updated again. Recreate the DeviceTaintRule to trigger an update."
            )
        case _:
            reason, words = "OtherEffect", "Eviction only happens for the NoExecute effect."
    if found.evicted:
        words = f"{words} {_count(found.evicted, 'pod')} evicted since starting the controller.".lstrip()
    return meta_v1.Condition(
        type=IN_PROGRESS,
        status=status,
        reason=reason,
        message=words,
        observed_generation=rule.metadata.generation,
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _where(namespaces: int) -> str:
    return f"{namespaces} {'namespace' if namespaces == 1 else 'different namespaces'}"
