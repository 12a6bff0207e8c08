"""UDP flows that must be forgotten, found in the rules: after a restart nothing else tells what was programmed."""

import re

from orlop.nftables.ruleset import Ruleset
from orlop.proxy.backends.flows import Flow
from orlop.proxy.backends.nftables.rules import NODE_PORTS, PROTOCOL_NUMBERS, SERVICE_IPS

TRANSLATION = re.compile(r"([0-9a-f.:]+)(?: \. |:|]:)[0-9]+(?=,| }|$)")
"""The addresses in `to 10.0.0.1:53`, `to [fd00::1]:53`, `to numgen … map { 0 : 10.0.0.1 . 53, … }`."""
REDIRECT = re.compile(r" redirect to (:[0-9]+)$")
"""The relay's port of the userspace mode, taken for an endpoint: it is where a flow goes."""
UDP = str(PROTOCOL_NUMBERS["UDP"])


def stale(family: int, before: Ruleset, after: Ruleset) -> list[Flow]:
    """What the step from one ruleset to the other leaves behind."""
    found: dict[Flow, None] = {}
    for element in after.elements:
        # Newly served: what was sent there before went somewhere untranslated and would go on doing so.
        if element not in before.elements and (frontend := _frontend(element)):
            found[Flow(family, *frontend)] = None
    by_service: dict[str, list[tuple[str | None, int]]] = {}
    for element, verdict in before.elements.items():
        if verdict.startswith("goto ") and (frontend := _frontend(element)):
            by_service.setdefault(verdict.partition("-")[2], []).append(frontend)
    for service, backend in sorted(_endpoints(before) - _endpoints(after)):
        for frontend in by_service.get(service, ()):
            found[Flow(family, *frontend, None if backend.startswith(":") else backend)] = None
    return list(found)


def _frontend(element: tuple[str, str]) -> tuple[str | None, int] | None:
    """(address or None, port) of a UDP element of the verdict maps."""
    map, key = element
    parts = key.split(" . ")
    if map == SERVICE_IPS and parts[1] == UDP:
        return parts[0], int(parts[2])
    if map == NODE_PORTS and parts[0] == UDP:
        return None, int(parts[1])
    return None


def _endpoints(rules: Ruleset) -> set[tuple[str, str]]:
    """(service, address) of all UDP endpoints."""
    found = set()
    for name, lines in rules.chains.items():
        prefix, _, service = name.partition("-")
        if "/udp/" in name and prefix in ("service", "local", "endpoint"):
            for line in lines:
                _, translates, to = line.partition(" dnat ")
                if translates:
                    found |= {(service.partition("__")[0], address) for address in TRANSLATION.findall(to)}
                if redirect := REDIRECT.search(line):
                    found.add((service, redirect[1]))
    return found
