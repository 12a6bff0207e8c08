"""What tests may not leave on the machine: links, routes, namespaces and firewall rules."""

import shutil
import subprocess

_LOOKS = (
    ["nft", "-s", "list", "ruleset"],
    ["iptables-save"],
    ["ip6tables-save"],
    ["ip", "-o", "link"],
    ["ip", "-o", "address"],
    ["ip", "route", "show", "table", "all"],
    ["ip", "-6", "route", "show", "table", "all"],
    ["ip", "netns"],
)


def traces(*words: str) -> list[str]:
    """Every line about the machine's network that has one of these words: names and ranges of one test's own.

    Whole states are not compared, since other tests and programs change theirs meanwhile.
    """
    return [f"{look[0]}: {line}" for look in _LOOKS for line in _lines(look) if any(word in line for word in words)]


def _lines(command: list[str]) -> list[str]:
    if shutil.which(command[0]) is None:
        return []
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.splitlines()
