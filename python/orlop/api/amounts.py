"""Lists of resource amounts, added and compared exactly and written as Go's resource.Quantity writes them."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

from orlop.api import quantity


class Amount(NamedTuple):
    """A quantity and how it is written: with binary suffixes (Mi) or decimal ones (M)."""

    number: Decimal
    binary: bool = False

    def __str__(self) -> str:
        whole = self.number == self.number.to_integral_value()
        if not whole:
            return quantity.format_milli(quantity.milli(str(self.number)))
        return (quantity.format_binary if self.binary else quantity.format_decimal)(int(self.number))


ZERO = Amount(Decimal(0))
ONE = Amount(Decimal(1))
Amounts = dict[str, Amount]


def parse(text: str) -> Amount:
    """Raises ValueError in upstream's words."""
    return Amount(quantity.parse(text), text.endswith("i"))


def parsed(amounts: Mapping[str, str]) -> Amounts:
    return {name: parse(text) for name, text in amounts.items()}


def written(amounts: Mapping[str, Amount]) -> dict[str, str]:
    return {name: str(amount) for name, amount in amounts.items()}


def _plus(a: Amount, b: Amount) -> Amount:
    return Amount(a.number + b.number, a.binary if a.number else b.binary)


def add(a: Mapping[str, Amount], b: Mapping[str, Amount]) -> Amounts:
    """The sums, of what is in either."""
    result = dict(a)
    for name, amount in b.items():
        result[name] = _plus(result[name], amount) if name in result else amount
    return result


def total(lists: Iterable[Mapping[str, Amount]]) -> Amounts:
    result: Amounts = {}
    for amounts in lists:
        result = add(result, amounts)
    return result


def largest(a: Mapping[str, Amount], b: Mapping[str, Amount]) -> Amounts:
    """The greater of each."""
    result = dict(a)
    for name, amount in b.items():
        if name not in result or amount.number > result[name].number:
            result[name] = amount
    return result


def increase(new: Mapping[str, Amount], old: Mapping[str, Amount]) -> Amounts:
    """By how much each has grown; what has not is left out."""
    grown = {n: Amount(a.number - old.get(n, ZERO).number, a.binary) for n, a in new.items()}
    return {name: amount for name, amount in grown.items() if amount.number > 0}


def shown(amounts: Mapping[str, Amount]) -> str:
    """`cpu=1,memory=2Gi`, in order of the names."""
    return ",".join(f"{name}={amount}" for name, amount in sorted(amounts.items()))
