"""The rules a bridge network needs: an nftables table of its own, and two accept rules beside dockerd's.

A table of our own cannot undo a drop by another: dockerd sets the FORWARD policy of iptables to drop, so traffic of the
bridge is accepted in DOCKER-USER, the chain dockerd leaves to others; where something else set that policy, in FORWARD.
"""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

from orlop.kubelet.network.base import Attachment, NetworkError, PortMapping
from orlop.kubelet.network.ipam import Pool

LEGACY_TABLES = {"iptables": "/proc/net/ip_tables_names", "ip6tables": "/proc/net/ip6_tables_names"}


def render(
    table: str,
    bridge: str,
    pools: Sequence[Pool],
    cluster_cidrs: Sequence[str],
    published: Sequence[tuple[Attachment, PortMapping]],
) -> str:
    """The whole table, replaced in one transaction."""
    lines = [
        f"table inet {table} {{}}",
        f"delete table inet {table}",
        f"table inet {table} {{",
        "chain guard {",
        "type filter hook prerouting priority raw; policy accept;",
        f'iifname "{bridge}" ip daddr 127.0.0.0/8 drop',
        "}",
        "chain hostports {",
        *(line for attachment, port in published for line in _publish(attachment, port)),
        "}",
        "chain prerouting {",
        "type nat hook prerouting priority dstnat; policy accept;",
        "fib daddr type local jump hostports",
        "}",
        "chain output {",
        "type nat hook output priority -100; policy accept;",
        "fib daddr type local jump hostports",
        "}",
        "chain postrouting {",
        "type nat hook postrouting priority srcnat; policy accept;",
        f'ip saddr 127.0.0.0/8 oifname "{bridge}" masquerade',
        *sorted({f"{_ip(ip)} saddr {ip} {_ip(ip)} daddr {ip} masquerade" for a, _ in published for ip in a.ips}),
        *(_masquerade(bridge, pool, cluster_cidrs) for pool in pools),
        "}",
        "}",
    ]
    return "\n".join(lines) + "\n"


def render_way_out(table: str, group: int, gateway: str) -> str:
    """A table that lets what pods send to each other pass by the gateway (its hardware address) alone.

    A pod that writes its own Ethernet frames could else reach a neighbour on the bridge itself, around the rules for
    what is routed. Groups (224.0.0.0/4) and what is not IP are left alone.
    """
    unicast = "ether daddr & 01:00:00:00:00:00 == 00:00:00:00:00:00"
    return "\n".join(
        [
            f"table bridge {table} {{}}",
            f"delete table bridge {table}",
            f"table bridge {table} {{",
            "chain prerouting {",
            "type filter hook prerouting priority -300; policy accept;",
            f"iifgroup {group} ether type {{ ip, ip6 }} {unicast} ether daddr != {gateway} drop",
            "}",
            "}",
            "",
        ]
    )


def render_uplink(table: str, pools: Sequence[Pool], cluster_cidrs: Sequence[str]) -> str:
    """Nodes that are namespaces of this machine leave it under its address, but are themselves to the pods."""
    lines = [f"table inet {table} {{}}", f"delete table inet {table}", f"table inet {table} {{", "chain postrouting {"]
    lines.append("type nat hook postrouting priority srcnat; policy accept;")
    lines += [_masquerade(table, pool, cluster_cidrs) for pool in pools]
    return "\n".join([*lines, "}", "}"]) + "\n"


def _publish(attachment: Attachment, port: PortMapping) -> list[str]:
    rules = []
    for ip in attachment.ips:
        if port.host_ip and port.host_ip not in ("0.0.0.0", "::") and (":" in port.host_ip) != (":" in ip):
            continue
        only = f"{_ip(ip)} daddr {port.host_ip} " if port.host_ip and port.host_ip not in ("0.0.0.0", "::") else ""
        target = f"[{ip}]:{port.container_port}" if ":" in ip else f"{ip}:{port.container_port}"
        rules.append(f"{only}{port.protocol.lower()} dport {port.host_port} dnat {_ip(ip)} to {target}")
    return rules


def _masquerade(bridge: str, pool: Pool, cluster_cidrs: Sequence[str]) -> str:
    """Pods go out under the node's address, but are themselves within the cluster, to the node and to groups."""
    family = "ip" if pool.network.version == 4 else "ip6"
    inside = sorted({pool.cidr, *(cidr for cidr in cluster_cidrs if _ip(cidr) == family)})
    inside.append("224.0.0.0/4" if family == "ip" else "ff00::/8")
    keep = " ".join(f"{family} daddr != {cidr}" for cidr in inside)
    return f'{family} saddr {pool.cidr} {keep} oifname != "{bridge}" masquerade'


def _ip(address: str) -> str:
    return "ip6" if ":" in address else "ip"


async def apply(rules: str) -> None:
    """Raises NetworkError in nft's words."""
    if shutil.which("nft") is None:
        raise NetworkError("the bridge network needs nft: apt-get install nftables")
    code, text = await run("nft", "-f", "-", stdin=rules)
    if code != 0:
        raise NetworkError(f"nft refused the rules of the bridge network: {text}")


async def remove(table: str, family: str = "inet") -> None:
    """Takes the table away; fine when it is not there."""
    if shutil.which("nft") is not None and (await run("nft", "list", "table", family, table))[0] == 0:
        await apply(f"delete table {family} {table}\n")


async def accept(bridge: str, versions: set[int]) -> None:
    """Lets forwarded traffic of the bridge pass where iptables would drop it."""
    for tool, chain in await _chains(versions):
        for direction in ("-i", "-o"):
            rule = (direction, bridge, "-m", "comment", "--comment", f"orlop {bridge}", "-j", "ACCEPT")
            if (await run(tool, "-w", "-C", chain, *rule))[0] != 0:
                code, text = await run(tool, "-w", "-I", chain, *rule)
                if code != 0:
                    raise NetworkError(f"{tool} refused to accept the traffic of {bridge}: {text}")


async def unaccept(bridge: str) -> None:
    """Takes back what `accept` did, in whichever chain."""
    for tool in await tools({4, 6}):
        _, listing = await run(tool, "-w", "-S")
        for line in listing.splitlines():
            words = line.replace('"', "").split()
            if words[:1] == ["-A"] and words[2:4] in (["-i", bridge], ["-o", bridge]) and "orlop" in words:
                chain, direction = words[1], words[2]
                comment = ("-m", "comment", "--comment", f"orlop {bridge}")
                await run(tool, "-w", "-D", chain, direction, bridge, *comment, "-j", "ACCEPT")


async def _chains(versions: set[int]) -> list[tuple[str, str]]:
    """(tool, chain) where rules are needed: DOCKER-USER where there is one, else FORWARD where anything drops."""
    found = []
    for tool in await tools(versions):
        _, listing = await run(tool, "-w", "-S")
        lines = listing.splitlines()
        if "-N DOCKER-USER" in lines:
            found.append((tool, "DOCKER-USER"))
        elif any(_drops(line) for line in lines):
            found.append((tool, "FORWARD"))
    return found


def _drops(line: str) -> bool:
    """Whether a line of `iptables -S` drops what is forwarded: by policy, or by a rule for the rest at the end."""
    words = line.split()
    return words == ["-P", "FORWARD", "DROP"] or (
        words[:2] == ["-A", "FORWARD"] and any(verdict in words for verdict in ("DROP", "REJECT"))
    )


async def tools(versions: set[int]) -> list[str]:
    """The iptables programs in whose rules something stands already; asking the others would make tables."""
    tools = []
    for version, name, family in ((4, "iptables", "ip"), (6, "ip6tables", "ip6")):
        if version not in versions:
            continue
        if shutil.which("nft") and (await run("nft", "list", "table", family, "filter"))[0] == 0:
            tools += [next((tool for tool in (f"{name}-nft", name) if shutil.which(tool)), "")]
        legacy = await asyncio.to_thread(_legacy_tables, LEGACY_TABLES[name])
        if "filter" in legacy:
            tools += [next((tool for tool in (f"{name}-legacy", name) if shutil.which(tool)), "")]
    return [tool for tool in tools if tool]


def _legacy_tables(path: str) -> list[str]:
    try:
        return Path(path).read_text().split()
    except OSError:
        return []


async def run(*command: str, stdin: str = "") -> tuple[int, str]:
    """(exit code, output) of a program."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate(stdin.encode() or None)
    return process.returncode or 0, output.decode(errors="replace").strip()
