"""Finds Python plug-ins and runs them; what goes wrong in one is told with its name."""

import importlib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any

from orlop import logging
from orlop.scheduler.plugins.api import Nodes, Pod, Refused
from orlop.scheduler.votes import MAX_SCORE

GROUP = "orlop.scheduler_plugins"
"""The group of entry points by which packages offer plug-ins."""
POINTS = {
    "filter": "filter",
    "score": "score",
    "reserve": "reserve",
    "permit": "permit",
    "pre_bind": "preBind",
    "post_bind": "postBind",
}
"""The extension point of each method."""

_log = logging.get("scheduler")


class PluginNotFound(ValueError):
    """A plug-in that was asked for cannot be had; the message says why."""


class PluginFailed(Exception):
    """A plug-in raised something; the message names it, in upstream's words."""


class PluginRefused(Exception):
    """A plug-in refused a pod on a node after the choice."""

    def __init__(self, plugin: str, message: str) -> None:
        super().__init__(message)
        self.plugin = plugin


class Loaded:
    """One plug-in."""

    def __init__(self, plugin: Any) -> None:
        self.plugin = plugin
        self.name: str = getattr(plugin, "name", None) or type(plugin).__name__
        self.points = tuple(point for method, point in POINTS.items() if callable(getattr(plugin, method, None)))
        if not self.points:
            raise PluginNotFound(f"{self.name}: has none of {', '.join(POINTS)}")

    def filter(self, pod: Pod, nodes: Nodes) -> tuple[Sequence[int], str] | None:
        """A value a slot, and the reason for the nodes that have none; None: all are allowed. Raises PluginFailed."""
        try:
            found = self.plugin.filter(pod, nodes)
            if found is None:
                return None
            reason = f"node(s) were refused by plug-in {self.name}"
            if isinstance(found, tuple):
                found, reason = found
            values = _values(found, len(nodes))
        except Exception as error:
            raise PluginFailed(f'running "{self.name}" filter plugin: {_told(error)}') from error
        return [1 if value else 0 for value in values], reason

    def score(self, pod: Pod, nodes: Nodes) -> list[int] | None:
        """0 to 100 a slot. Raises PluginFailed."""
        try:
            found = self.plugin.score(pod, nodes)
            if found is None:
                return None
            values = _values(found, len(nodes))
            scores = [int(value) if ok else 0 for value, ok in zip(values, nodes.feasible, strict=True)]
            if getattr(self.plugin, "normalize", False):
                highest = max(scores, default=0)
                scores = [MAX_SCORE * score // highest if highest > 0 else 0 for score in scores]
            for score in scores:
                if not 0 <= score <= MAX_SCORE:
                    raise ValueError(
                        f'plugin "{self.name}" returns an invalid score {score}, it should in the range of '
                        f"[0, {MAX_SCORE}] after normalizing"
                    )
        except Exception as error:
            raise PluginFailed(f'running Score plugins: plugin "{self.name}" failed with: {_told(error)}') from error
        return scores

    async def run(self, method: str, pod: Pod, node: str) -> None:
        """`reserve`, `permit` or `pre_bind`. Raises PluginRefused, and PluginFailed for anything else."""
        try:
            waiting = getattr(self.plugin, method)(pod, node)
            if inspect.isawaitable(waiting):
                await waiting
        except Refused as error:
            raise PluginRefused(self.name, str(error)) from error
        except Exception as error:
            point = POINTS[method][0].upper() + POINTS[method][1:]
            raise PluginFailed(f'running {point} plugin "{self.name}": {_told(error)}') from error

    def unreserve(self, pod: Pod | None, node: str) -> None:
        """Tells it that the pod does not come after all; what it raises is only logged."""
        undo = getattr(self.plugin, "unreserve", None)
        if undo is None or pod is None:
            return
        try:
            undo(pod, node)
        except Exception:
            _log.exception("error in unreserve", extra={"plugin": self.name, "pod": f"{pod.namespace}/{pod.name}"})


def _values(found: Any, slots: int) -> Sequence[Any]:
    """A value a slot, from anything that has the buffer protocol or is a sequence."""
    try:
        view = memoryview(found)
    except TypeError:
        values: Sequence[Any] = list(found)
    else:
        values = view.tolist()
    if len(values) != slots:
        raise ValueError(f"{len(values)} values for {slots} slots")
    return values


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def load(paths: Iterable[str] = (), *, installed: bool = True) -> dict[str, Loaded]:
    """Plug-ins by name: those of `paths` ("module:Class"), and those that installed packages offer.

    Raises PluginNotFound."""
    classes = []
    if installed:
        for entry in entry_points(group=GROUP):
            try:
                classes.append((entry.value, entry.load()))
            except (ImportError, AttributeError) as error:
                raise PluginNotFound(f"{entry.name} = {entry.value}: {error}") from error
    classes += [(path, _class(path)) for path in paths]
    found: dict[str, Loaded] = {}
    for path, kind in classes:
        try:
            loaded = Loaded(kind())
        except Exception as error:
            raise PluginNotFound(f"{path}: {_told(error)}") from error
        if loaded.name in found:
            raise PluginNotFound(f"{path}: there is a plug-in {loaded.name} already")
        found[loaded.name] = loaded
    return found


def _class(path: str) -> Any:
    module, _, name = path.partition(":")
    if not module or not name:
        raise PluginNotFound(f"{path}: must be MODULE:CLASS")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise PluginNotFound(f"{path}: {error}") from error


def points(found: Mapping[str, Loaded]) -> dict[str, tuple[str, ...]]:
    """The extension points of plug-ins, as a configuration's reader wants them."""
    return {name: loaded.points for name, loaded in found.items()}
