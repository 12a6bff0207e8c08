"""What tests may not change: the machine's links, rules and routes."""

import shutil
import subprocess


def rules() -> str:
    """Every firewall rule, counters left out."""
    commands = (["nft", "-s", "list", "ruleset"], ["iptables-save"], ["ip6tables-save"])
    return "".join(_output(command) for command in commands)


def links_and_routes() -> str:
    """Every link's name and every route of the machine's own network namespace."""
    names = sorted(line.split(":")[1].split("@")[0] for line in _output(["ip", "-o", "link"]).splitlines())
    return "\n".join([*names, _output(["ip", "route"]), _output(["ip", "netns"])])


def _output(command: list[str]) -> str:
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    return "\n".join(line for line in done.stdout.splitlines() if not line.startswith(("#", ":"))) + "\n"
