"""Reads what `nft --stateless --numeric-protocol --numeric-priority list table` prints.

nft's JSON would have to be turned back into rules to be compared; its text is the rules already. Where another version
of nft prints a line otherwise, the line counts as wrong and is written again at a start, which breaks nothing.
"""

from orlop.nftables.ruleset import Ruleset


def parse(text: str) -> Ruleset:
    """The ruleset of the one table in the text. Elements of dynamic sets are the kernel's own and left out."""
    rules = Ruleset()
    kind = name = ""
    statements: list[str] = []
    elements: list[str] | None = None
    for raw in text.splitlines():
        line = raw.strip()
        if elements is not None:
            elements.append(line)
        elif line.startswith("elements = {"):
            elements = [line.removeprefix("elements = {")]
        elif line.endswith("{") and line.split(" ", 1)[0] in ("chain", "set", "map"):
            kind, name, _ = line.split(" ")
            statements = []
        elif line == "}":
            if kind == "chain":
                rules.chains[name] = statements
            elif kind:
                rules.sets[name] = f"{kind} {'; '.join(statements)}"
            kind = ""
        elif line and kind:
            statements.append(line)
        if elements is not None and elements[-1].endswith("}"):
            if not any("dynamic" in statement for statement in statements):
                _take(rules, name, " ".join(elements).removesuffix("}"))
            elements = None
    return rules


def _take(rules: Ruleset, name: str, text: str) -> None:
    for item in text.split(","):
        key, _, verdict = item.strip().partition(" : ")
        rules.elements[name, key] = verdict
