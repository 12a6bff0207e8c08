"""Which plug-ins run at which extension point: upstream's defaults, and what a profile makes of them.

Upstream: pkg/scheduler/apis/config/v1/default_plugins.go (merging) and pkg/scheduler/framework/runtime (multiPoint).
"""

from collections.abc import Iterable, Mapping

from orlop.scheduler.config.types import Plugin, Plugins, PluginSet

POINTS = (
    "preEnqueue", "queueSort", "preFilter", "filter", "postFilter", "preScore", "score", "reserve", "permit", "preBind",
    "bind", "postBind",
)  # fmt: skip
"""The extension points."""
_FIELDS = {point: "".join(f"_{c.lower()}" if c.isupper() else c for c in point) for point in (*POINTS, "multiPoint")}

_CHECKED = ("preFilter", "filter")
_BOTH = ("preFilter", "filter", "preScore", "score")
IN_TREE: dict[str, tuple[str, ...]] = {
    "SchedulingGates": ("preEnqueue",),
    "PrioritySort": ("queueSort",),
    "NodeUnschedulable": ("filter",),
    "NodeName": ("filter",),
    "TaintToleration": ("filter", "preScore", "score"),
    "NodeAffinity": _BOTH,
    "NodePorts": _CHECKED,
    "NodeResourcesFit": _BOTH,
    "VolumeRestrictions": _CHECKED,
    "NodeVolumeLimits": _CHECKED,
    "VolumeBinding": (*_CHECKED, "reserve", "preBind"),
    "VolumeZone": _CHECKED,
    "PodTopologySpread": _BOTH,
    "InterPodAffinity": _BOTH,
    "DynamicResources": ("preEnqueue", *_CHECKED, "postFilter", "score", "reserve", "preBind"),
    "DefaultPreemption": ("postFilter",),
    "NodeResourcesBalancedAllocation": ("preScore", "score"),
    "ImageLocality": ("score",),
    "DefaultBinder": ("bind",),
    "NodeDeclaredFeatures": _CHECKED,
    "GangScheduling": ("preEnqueue", "reserve", "permit"),
}
"""The plug-ins that every profile starts with, in their order, and the points at which each works."""
_TWICE = ("NodeAffinity", "PodTopologySpread", "InterPodAffinity", "DynamicResources")
WEIGHTS = {"TaintToleration": 3, **dict.fromkeys(_TWICE, 2)}
"""Default weights that are not 1."""
_GO_NAMES = {point: point[0].upper() + point[1:] + "Plugin" for point in (*POINTS, "multiPoint")}


class PluginError(ValueError):
    """The plug-ins of a profile do not fit together; in upstream's words."""


def expand(
    plugins: Plugins | None, known: Mapping[str, Iterable[str]], scheduler_name: str
) -> dict[str, list[tuple[str, int]]]:
    """For each extension point its plug-ins with their weights, in order.

    `known` are all plug-ins that there are, with their points. Raises PluginError."""
    defaults = PluginSet(enabled=[Plugin(name=name, weight=WEIGHTS.get(name, 1)) for name in IN_TREE])
    everywhere = _merged(defaults, _set(plugins, "multiPoint"))
    _checked("multiPoint", everywhere, known)
    return {point: _at(point, everywhere, _set(plugins, point), known, scheduler_name) for point in POINTS}


def _set(plugins: Plugins | None, point: str) -> PluginSet:
    found: PluginSet | None = getattr(plugins, _FIELDS[point], None)
    return found or PluginSet()


def _merged(defaults: PluginSet, custom: PluginSet) -> list[Plugin]:
    """The defaults that are not disabled, replaced in place where they are configured anew, then the others."""
    disabled = {plugin.name for plugin in custom.disabled or ()}
    enabled = {plugin.name: plugin for plugin in custom.enabled or ()}
    merged = []
    if "*" not in disabled:
        merged = [enabled.get(p.name, p) for p in defaults.enabled or () if p.name not in disabled]
    replaced = {plugin.name for plugin in merged}
    return merged + [plugin for plugin in custom.enabled or () if plugin.name not in replaced]


def _at(
    point: str, everywhere: list[Plugin], here: PluginSet, known: Mapping[str, Iterable[str]], scheduler_name: str
) -> list[tuple[str, int]]:
    own = list(here.enabled or ())
    _checked(point, own, known)
    for plugin in own:
        if point not in known[plugin.name]:
            raise PluginError(f'plugin "{plugin.name}" does not extend {_GO_NAMES[point]} plugin')
    disabled = {plugin.name for plugin in here.disabled or ()}
    inherited = [] if "*" in disabled else [p for p in everywhere if p.name not in disabled and point in known[p.name]]
    named = {plugin.name for plugin in own}
    shared = {plugin.name for plugin in inherited}
    # First what is named here and everywhere, in the order of here; then what is named everywhere; then the rest.
    order = [p for p in own if p.name in shared] + [p for p in inherited if p.name not in named]
    order += [p for p in own if p.name not in shared]
    if point == "queueSort" and len(order) != 1:
        if not order:
            raise PluginError(f'no queue sort plugin is enabled for profile with scheduler name "{scheduler_name}"')
        raise PluginError(
            f'only one queue sort plugin required for profile with scheduler name "{scheduler_name}", '
            f"but got {len(order)}"
        )
    if point == "bind" and not order:
        raise PluginError(f'at least one bind plugin is needed for profile with scheduler name "{scheduler_name}"')
    return [(plugin.name, plugin.weight or 1) for plugin in order]


def _checked(point: str, plugins: list[Plugin], known: Mapping[str, Iterable[str]]) -> None:
    seen: set[str] = set()
    for plugin in plugins:
        if plugin.name not in known:
            raise PluginError(f'{_GO_NAMES[point]} "{plugin.name}" does not exist')
        if plugin.name in seen:
            raise PluginError(f'plugin "{plugin.name}" already registered as "{_GO_NAMES[point]}"')
        seen.add(plugin.name)
