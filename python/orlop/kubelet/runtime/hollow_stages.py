"""What simulated containers do, as data.

A list of stages; the first that matches a container decides. A pod's annotation `hollow.orlop/stage` (the same fields
as YAML or JSON, without `match`) goes before them all. Delays are seconds.

    - match: {image: "*/crasher:*"}
      startDelay: 0.2
      run: 3
      exitCode: 1
      logs: ["starting", "bad luck"]
    - match: {annotations: {test/slow: "yes"}}
      readyAfter: 10
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from orlop.kubelet.runtime.values import PodSandboxMetadata

STAGE_ANNOTATION = "hollow.orlop/stage"


class Match(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Which containers: shell patterns for the names, exact values for the pod's annotations. All must hold."""

    image: str = "*"
    container: str = "*"
    pod: str = "*"
    namespace: str = "*"
    annotations: dict[str, str] = {}

    def matches(self, image: str, container: str, pod: PodSandboxMetadata, annotations: Mapping[str, str]) -> bool:
        return (
            fnmatchcase(image, self.image)
            and fnmatchcase(container, self.container)
            and fnmatchcase(pod.name, self.pod)
            and fnmatchcase(pod.namespace, self.namespace)
            and all(annotations.get(key) == value for key, value in self.annotations.items())
        )


class Answer(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a command run in the container gives; `command` is a shell pattern over its words joined by blanks."""

    command: str = "*"
    stdout: str = ""
    stderr: str = ""
    exit_code: int = 0


class Stage(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The life of a matching container."""

    match: Match = Match()
    pull_delay: float = 0.0
    pull_error: str = ""
    """Not empty: pulling the image fails with this message (only `match.image` counts for pulling)."""
    start_delay: float = 0.0
    start_error: str = ""
    run: float | None = None
    """How long it runs before it ends by itself; None: until it is stopped."""
    exit_code: int = 0
    oom: bool = False
    """Ends as killed for its memory: exit code 137, reason OOMKilled."""
    stop_delay: float = 0.0
    """From the stop signal to its end; longer than the grace period means killed (137)."""
    stop_exit_code: int = 0
    ready_after: float = 0.0
    ready_for: float | None = None
    """The readiness probe holds from `ready_after` for this long; None: for good."""
    live_for: float | None = None
    """The liveness probe fails after this long; None: never."""
    jitter: float = 0.0
    """Each delay is stretched or shrunk by up to this fraction, by the clock's randomness."""
    logs: tuple[str, ...] = ()
    exec: tuple[Answer, ...] = ()
    cpu_milli: int = 1
    memory_bytes: int = 1 << 20
    pids: int = 1
    layer_bytes: int = 0
    log_bytes: int = 0
    """What the container takes on disk until it is removed."""
    volume_bytes: dict[str, int] = {}
    """What it has written to the pod's volumes, by name."""
    image_bytes: int = 1 << 20
    """The image's size (only `match.image` counts)."""

    def answer(self, command: Sequence[str]) -> Answer:
        """What running `command` gives: the first answer that fits, else success and no output."""
        line = " ".join(command)
        return next((answer for answer in self.exec if fnmatchcase(line, answer.command)), Answer())


class BadStage(ValueError):
    """A stage file or annotation that cannot be read; the text names the field."""


def load(path: Path) -> list[Stage]:
    """The stages of a YAML file (a list). Raises BadStage."""
    try:
        return msgspec.yaml.decode(path.read_bytes(), type=list[Stage])
    except (msgspec.MsgspecError, OSError) as error:
        raise BadStage(f"{path}: {error}") from error


def choose(
    stages: Sequence[Stage], image: str, container: str, pod: PodSandboxMetadata, annotations: Mapping[str, str]
) -> Stage:
    """The stage of a container; one that runs for ever where none matches. Raises BadStage (annotation)."""
    if text := annotations.get(STAGE_ANNOTATION):
        try:
            return msgspec.yaml.decode(text, type=Stage)
        except msgspec.MsgspecError as error:
            raise BadStage(f"annotation {STAGE_ANNOTATION}: {error}") from error
    for stage in stages:
        if stage.match.matches(image, container, pod, annotations):
            return stage
    return Stage()


def for_image(stages: Sequence[Stage], image: str) -> Stage:
    """The stage that decides how pulling goes: the first whose image pattern fits."""
    return next((stage for stage in stages if fnmatchcase(image, stage.match.image)), Stage())
