"""Names of API versions in the order that Kubernetes gives them: apimachinery's pkg/version."""

import re

_VERSION = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")


def age(version: str) -> tuple[int, int, int]:
    """What versions are sorted by: stable ones are above beta and these above alpha, newer ones above older ones."""
    match = _VERSION.fullmatch(version)
    if match is None:
        return (-1, 0, 0)
    major, stage, minor = match.groups()
    return ({None: 2, "beta": 1, "alpha": 0}[stage], int(major), int(minor or 0))
