"""The nftables backend beside `nft -f` fed by hand: benches/forwarding.py says what is done, and how it is checked."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches.forwarding import ENDPOINTS, Tool, run
from orlop.proxy.backends.nftables import Nftables


def change(number: int, new: int) -> str:
    """What a person would feed to nft: the service's new choice, and the new endpoint for the old as its own client."""
    base = f"default/service-{number}/tcp/"
    net = f"10.{number // 250 + 1}.{number % 250}"
    ip = f"10.96.{number // 250}.{number % 250 + 1}"
    choice = ", ".join(f"{i} : {net}.{host} . 8080" for i, host in enumerate([*range(1, ENDPOINTS), new]))
    table = "ip orlop-proxy"
    choice = f"numgen random mod {ENDPOINTS} map {{ {choice} }}"
    return (
        f"flush chain {table} service-{base}\n"
        f"add rule {table} service-{base} ip daddr {ip} tcp dport 80 ip saddr != 10.0.0.0/8 jump mark-for-masquerade\n"
        f"add rule {table} service-{base} meta l4proto tcp dnat ip to {choice}\n"
        f"delete element {table} hairpin {{ {net}.{ENDPOINTS} . {net}.{ENDPOINTS} }}\n"
        f"add element {table} hairpin {{ {net}.{new} . {net}.{new} }}\n"
    )


if __name__ == "__main__":
    run(
        Tool(
            backend=Nftables,
            version="nft --version",
            save=("nft", "list", "ruleset"),
            load=("nft", "-f", "-"),
            target=" . 8080",
            place=" . 8080",
            change=change,
            syncs=3,
            changes=15,
        )
    )
