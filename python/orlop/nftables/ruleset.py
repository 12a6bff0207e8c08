"""A table of rules as data, and the commands that lead from one to another."""

from dataclasses import dataclass, field


@dataclass
class Ruleset:
    """Chains, sets and maps of one table, each line as nft itself prints it.

    The first line of a base chain is its `type … hook …` declaration. A set's elements have the verdict "".
    """

    chains: dict[str, list[str]] = field(default_factory=dict)
    sets: dict[str, str] = field(default_factory=dict)
    """Declaration by name, "map " or "set " first, its statements joined by "; "."""
    elements: dict[tuple[str, str], str] = field(default_factory=dict)
    """(map or set, key) → verdict."""

    def add(self, other: "Ruleset") -> None:
        """Takes in another's parts."""
        self.chains.update(other.chains)
        self.sets.update(other.sets)
        self.elements.update(other.elements)


def needs_rebuild(before: Ruleset, after: Ruleset) -> bool:
    """Whether something differs that cannot be changed in place: where a base chain hooks in, what a map holds."""
    chains = any(hook(before.chains.get(name, lines)) != hook(lines) for name, lines in after.chains.items())
    return chains or any(before.sets.get(name, text) != text for name, text in after.sets.items())


def hook(lines: list[str]) -> str:
    """The declaration of a base chain; empty for a plain one."""
    return lines[0] if lines and lines[0].startswith("type ") else ""


def commands(table: str, before: Ruleset, after: Ruleset) -> list[str]:
    """nft commands for one transaction on `table` ("ip NAME"), which mention only what differs."""
    changed = {name: lines for name, lines in after.chains.items() if before.chains.get(name) != lines}
    gone = [name for name in before.chains if name not in after.chains]
    new_sets = {name: text for name, text in after.sets.items() if name not in before.sets}
    gone_sets = {name: text.partition(" ")[0] for name, text in before.sets.items() if name not in after.sets}
    dropped: dict[str, list[str]] = {}
    added: dict[str, list[str]] = {}
    for (name, key), verdict in before.elements.items():
        # A map has no "replace": the old element goes and the new one comes in the same transaction.
        if after.elements.get((name, key)) != verdict and name not in gone_sets:
            dropped.setdefault(name, []).append(key)
    for (name, key), verdict in after.elements.items():
        if before.elements.get((name, key)) != verdict:
            added.setdefault(name, []).append(f"{key} : {verdict}" if verdict else key)
    out = [f"flush chain {table} {name}" for name in changed if before.chains.get(name)]
    if changed or new_sets:
        out.append(f"table {table} {{")
        for name, text in new_sets.items():
            kind, _, statements = text.partition(" ")
            out.append(f"{kind} {name} {{ {statements}; }}")
        for name, lines in changed.items():
            out.append(f"chain {name} {{")
            out.extend(lines)
            out.append("}")
        out.append("}")
    out += [f"delete element {table} {name} {{ {', '.join(keys)} }}" for name, keys in dropped.items()]
    out += [f"add element {table} {name} {{ {', '.join(items)} }}" for name, items in added.items()]
    # Emptied first, so that no rule holds on to a chain or set when it is deleted.
    out += [f"flush chain {table} {name}" for name in gone]
    out += [f"delete chain {table} {name}" for name in gone]
    out += [f"delete {kind} {table} {name}" for name, kind in gone_sets.items()]
    return out
