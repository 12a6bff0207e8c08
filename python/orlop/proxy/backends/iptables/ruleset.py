"""Rules as data: read from `iptables-save`, and the text for `iptables-restore --noflush` from one state to another."""

from collections import Counter
from dataclasses import dataclass, field

from orlop.proxy.backends.iptables.layout import Layout

TABLES = ("nat", "filter")
"""In the order in which they are written: what is newly served is translated before it is no longer refused."""
SINGLE_CHANGES = 64
"""A chain is written anew where more of its rules would have to go: each is looked for from the chain's start."""

Chain = tuple[str, str]
"""(table, name)."""
Line = tuple[str, str, str]
"""(table, chain, rule)."""


@dataclass
class Rules:
    """Rules without their `-A CHAIN`, as `iptables-save` prints them."""

    chains: dict[Chain, list[str]] = field(default_factory=dict)
    """Chains of ours, in full."""
    lines: dict[Line, str] = field(default_factory=dict)
    """Rules in chains that all Services have in common; the values are empty."""
    tails: dict[Chain, list[str]] = field(default_factory=dict)
    """Those chains, and the rules at their end."""
    hooks: dict[Chain, list[str]] = field(default_factory=dict)
    """Rules in the kernel's own chains that lead to ours."""

    def add(self, other: "Rules") -> None:
        """Takes in another's chains and lines."""
        self.chains.update(other.chains)
        self.lines.update(other.lines)


def parse(text: str, layout: Layout) -> Rules:
    """What is ours in the output of `iptables-save`. The chains that Services have in common are in `chains` too."""
    rules = Rules()
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":"):
            name = line[1:].partition(" ")[0]
            if table in TABLES and layout.is_ours(name):
                rules.chains[table, name] = []
        elif line.startswith("-A ") and table in TABLES:
            _, name, rule = line.split(" ", 2)
            if (table, name) in rules.chains:
                rules.chains[table, name].append(rule)
            elif layout.is_ours(rule.rpartition("-j ")[2]):
                rules.hooks.setdefault((table, name), []).append(rule)
    return rules


def step(before: Rules, after: Rules) -> str:
    """The change of some service ports; both hold their chains and lines, and nothing of the frame."""
    work = _Work()
    work.chains(before.chains, after.chains)
    for table, chain, rule in before.lines.keys() - after.lines.keys():
        work.delete(table, chain, rule)
    for table, chain, rule in after.lines.keys() - before.lines.keys():
        work.insert(table, chain, rule)
    return work.text()


def whole(found: Rules, wanted: Rules) -> str:
    """From what `parse` found to everything that is wanted. Empty where all is right."""
    work = _Work()
    common = {chain: list[str]() for chain in wanted.tails}
    for table, chain, rule in wanted.lines:
        common[table, chain].append(rule)
    work.chains({c: lines for c, lines in found.chains.items() if c not in wanted.tails}, wanted.chains)
    for name, tail in wanted.tails.items():
        _common(work, name, found.chains.get(name), common[name], tail)
    for hook in found.hooks.keys() | wanted.hooks.keys():
        is_there, rules = found.hooks.get(hook, []), wanted.hooks.get(hook, [])
        if is_there != rules:
            for rule in is_there:
                work.delete(*hook, rule)
            for rule in reversed(rules):
                work.insert(*hook, rule)
    return work.text()


def _common(work: "_Work", chain: Chain, found: list[str] | None, rules: list[str], tail: list[str]) -> None:
    if found is not None:
        body, end = found[: len(found) - len(tail)], found[len(found) - len(tail) :]
        is_there, wanted = Counter(body), Counter(rules)
        gone = is_there - wanted
        if end == tail and gone.total() <= SINGLE_CHANGES:
            for rule in gone.elements():
                work.delete(*chain, rule)
            for rule in wanted - is_there:
                work.insert(*chain, rule)
            return
    work.write(chain, [*rules, *tail])


class _Work:
    """Collects the parts of a restore, per table: chains are flushed, written, changed, and deleted."""

    def __init__(self) -> None:
        self._flushed: dict[str, list[str]] = {table: [] for table in TABLES}
        self._rules: dict[str, list[str]] = {table: [] for table in TABLES}
        self._deleted: dict[str, list[str]] = {table: [] for table in TABLES}

    def chains(self, before: dict[Chain, list[str]], after: dict[Chain, list[str]]) -> None:
        for chain, lines in after.items():
            if before.get(chain) != lines:
                self.write(chain, lines)
        for table, name in before.keys() - after.keys():
            self._flushed[table].append(name)
            self._deleted[table].append(name)

    def write(self, chain: Chain, lines: list[str]) -> None:
        table, name = chain
        self._flushed[table].append(name)
        self._rules[table] += [f"-A {name} {line}" for line in lines]

    def delete(self, table: str, chain: str, rule: str) -> None:
        self._rules[table].append(f"-D {chain} {rule}")

    def insert(self, table: str, chain: str, rule: str) -> None:
        self._rules[table].append(f"-I {chain} {rule}")

    def text(self) -> str:
        parts = []
        for table in TABLES:
            if self._flushed[table] or self._rules[table]:
                parts.append(f"*{table}")
                parts += [f":{name} - [0:0]" for name in self._flushed[table]]
                parts += self._rules[table]
                parts += [f"-X {name}" for name in self._deleted[table]]
                parts.append("COMMIT\n")
        return "\n".join(parts)
