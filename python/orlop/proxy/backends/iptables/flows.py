"""UDP flows that must be forgotten, found in the rules: after a restart nothing else tells what was programmed."""

import re

from orlop.proxy.backends.flows import Flow
from orlop.proxy.backends.iptables.ruleset import Line, Rules

FRONTEND = re.compile(r"(?:-d (?P<address>\S+)/\d+ )?-p udp .*--dport (?P<port>\d+) -j (?P<chain>\S+)$")
DESTINATION = re.compile(r"--to-destination \[?(.+?)\]?:\d+$")

Frontend = tuple[str | None, int]


def stale(family: int, before: Rules, after: Rules) -> list[Flow]:
    """What the step from one state to the other leaves behind."""
    old, new = _served(before), _served(after)
    found: dict[Flow, None] = {}
    for at, backends in old.items():
        for backend in sorted(backends - new.get(at, set())):
            found[Flow(family, *at, backend)] = None
    for at, backends in new.items():
        # Newly served: what was sent there before went somewhere untranslated and would go on doing so.
        if backends and not old.get(at):
            found[Flow(family, *at)] = None
    return list(found)


def _served(rules: Rules) -> dict[Frontend, set[str]]:
    """The addresses of the endpoints of each UDP frontend (None: any address of the node)."""
    found: dict[Frontend, set[str]] = {}
    lines: list[Line] = [*rules.lines]
    # What was found has them in chains.
    lines += [(*chain, line) for chain, all in rules.chains.items() for line in all if " -p udp " in f" {line}"]
    for table, chain, line in lines:
        is_frontend = chain.endswith(("-SERVICES", "-NODEPORTS"))
        if table == "nat" and is_frontend and (match := FRONTEND.match(line)):
            found[match["address"], int(match["port"])] = _destinations(rules, match["chain"])
    return found


def _destinations(rules: Rules, chain: str) -> set[str]:
    found: set[str] = set()
    for line in rules.chains.get(("nat", chain), ()):
        if match := DESTINATION.search(line):
            found.add(match[1])
        elif any(kind in line.rpartition("-j ")[2] for kind in ("-SEP-", "-SVC-", "-SVL-", "-EXT-")):
            found |= _destinations(rules, line.rpartition("-j ")[2])
    return found
