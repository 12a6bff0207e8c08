"""What the labels of a namespace ask for: a level and a version of it, to enforce, to warn of and to audit by.

As k8s.io/pod-security-admission/api; https://kubernetes.io/docs/concepts/security/pod-security-standards/.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from orlop.api.errors import FieldError, invalid_value

PREFIX = "pod-security.kubernetes.io/"
PRIVILEGED, BASELINE, RESTRICTED = LEVELS = ("privileged", "baseline", "restricted")
"""From the loosest to the strictest."""
MODES = ("enforce", "audit", "warn")
LATEST = 1 << 30
"""The minor version that `latest` stands for: newer than any."""

_VERSION = re.compile(r"v1\.(0|[1-9][0-9]*)")


class LevelVersion(NamedTuple):
    """A level as of one minor version of Kubernetes."""

    level: str = PRIVILEGED
    minor: int = LATEST

    def __str__(self) -> str:
        return f"{self.level}:{'latest' if self.minor == LATEST else f'v1.{self.minor}'}"

    def stricter_than(self, other: "LevelVersion") -> bool:
        """Whether the level is a stricter one; versions are not compared."""
        return LEVELS.index(self.level) > LEVELS.index(other.level)


class Policy(NamedTuple):
    """What is asked for in each mode."""

    enforce: LevelVersion = LevelVersion()
    audit: LevelVersion = LevelVersion()
    warn: LevelVersion = LevelVersion()


def of(labels: Mapping[str, str]) -> tuple[Policy, list[FieldError]]:
    """The policy of a namespace with these labels, and what is wrong with them. Where a level cannot be read the
    strictest is enforced, and nothing is warned of or audited."""
    found, wrong = {}, list[FieldError]()
    for mode in MODES:
        level, minor = PRIVILEGED, LATEST
        if (said := labels.get(f"{PREFIX}{mode}")) is not None:
            level = said
            if said not in LEVELS:
                level = RESTRICTED if mode == "enforce" else PRIVILEGED
                wrong.append(_invalid(mode, said, f"must be one of {', '.join(LEVELS)}"))
        if (said := labels.get(f"{PREFIX}{mode}-version")) not in (None, "latest"):
            match = _VERSION.fullmatch(said or "")
            if match is None:
                wrong.append(_invalid(f"{mode}-version", said or "", 'must be "latest" or "v1.x"'))
            else:
                minor = int(match[1])
        found[mode] = LevelVersion(level, minor)
    return Policy(**found), wrong


def _invalid(label: str, value: str, words: str) -> FieldError:
    return invalid_value(f"metadata.labels[{PREFIX}{label}]", value, words)
