"""Rules of others that would keep pods from being reached, told in words: they are a person's to change.

A packet passes only if every table lets it, so no rule of ours can help. What iptables drops when forwarding is met by
`firewall.accept`; what is left is looked for here.
"""

import shutil

import msgspec

from orlop.kubelet.network.firewall import run, tools

FIREWALLD = "firewalld"


class _Chain(msgspec.Struct):
    family: str = ""
    table: str = ""
    name: str = ""
    hook: str = ""
    policy: str = ""


class _Item(msgspec.Struct):
    chain: _Chain | None = None


class _Listing(msgspec.Struct):
    nftables: list[_Item]


async def obstacles(bridge: str) -> list[str]:
    """What is in the way of the traffic of `bridge`, each with what to do about it."""
    return [*await _nftables(bridge), *await _iptables(bridge)]


async def _nftables(bridge: str) -> list[str]:
    if shutil.which("nft") is None:
        return []
    code, text = await run("nft", "-j", "list", "chains")
    if code != 0:
        return []
    chains = [item.chain for item in msgspec.json.decode(text, type=_Listing).nftables if item.chain is not None]
    if any(chain.table == FIREWALLD for chain in chains):
        listing = (await run("nft", "list", "table", "inet", FIREWALLD))[1]
        if bridge not in listing:
            return [
                f"firewalld is active and does not know {bridge}: pods may not reach each other or the node. "
                f"firewall-cmd --permanent --zone=trusted --add-interface={bridge} && firewall-cmd --reload"
            ]
        return []
    found = []
    for chain in chains:
        legacy = chain.family in ("ip", "ip6") and chain.table == "filter"  # iptables' own
        if legacy or chain.policy != "drop" or chain.hook not in ("forward", "input"):
            continue
        where = f"{chain.family} {chain.table} {chain.name}"
        if bridge in (await run("nft", "list", "chain", *where.split()))[1]:
            continue
        what = "what passes this machine" if chain.hook == "forward" else "what comes to this machine"
        rules = [f"nft insert rule {where} iifname {bridge} accept"]
        if chain.hook == "forward":
            rules.append(f"nft insert rule {where} oifname {bridge} accept")
        found.append(f"the nftables chain {where} drops {what}, and with it what pods send. " + "; ".join(rules))
    return found


async def _iptables(bridge: str) -> list[str]:
    found = []
    for tool in await tools({4, 6}):
        lines = (await run(tool, "-w", "-S"))[1].splitlines()
        if "-P INPUT DROP" in lines and not any(bridge in line for line in lines if line.startswith("-A")):
            found.append(
                f"{tool} drops what comes to this machine (policy of INPUT): pods reach neither the API nor the "
                f"node's DNS. {tool} -I INPUT -i {bridge} -j ACCEPT (with ufw: ufw allow in on {bridge})"
            )
    return found
