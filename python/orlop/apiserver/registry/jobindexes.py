"""Lists of an indexed Job's indexes, `1,3-5`: pkg/apis/batch/validation's validateIndexesFormat."""


def count(text: str, completions: int) -> int | str:
    """How many indexes the text names, or what is wrong with it."""
    total = 0
    previous: int | None = None
    for part in text.split(",") if text else ():
        interval = _interval(part, completions)
        if isinstance(interval, str):
            return interval
        first, last = interval
        if previous is not None and previous >= first:
            return f"non-increasing order, previous: {previous}, current: {first}"
        total += last - first + 1
        previous = last
    return total


def overlap(one: str, other: str, completions: int) -> int | None:
    """The first index that both name. Parts that cannot be read are left out: they are told of elsewhere."""
    if not one or not other:
        return None
    ones, others = _readable(one, completions), _readable(other, completions)
    i = j = 0
    while i < len(ones) and j < len(others):
        (a, b), (c, d) = ones[i], others[j]
        if a <= d and c <= b:
            return max(a, c)
        if a <= c:
            i += 1
        else:
            j += 1
    return None


def _readable(text: str, completions: int) -> list[tuple[int, int]]:
    return [i for part in text.split(",") if not isinstance(i := _interval(part, completions), str)]


def _interval(text: str, completions: int) -> tuple[int, int] | str:
    limits = text.split("-")
    if len(limits) > 2:
        words = "violates the requirement that an index interval can have at most two parts separated by '-'"
        return f'the fragment "{text}" {words}'
    numbers = []
    for limit in limits:
        if not limit.removeprefix("+").isdecimal():
            return f'cannot convert string to integer for index: "{limit}"'
        number = int(limit)
        if number >= completions:
            return f'too large index: "{limit}"'
        numbers.append(number)
    if len(numbers) == 2 and numbers[0] >= numbers[1]:
        return f"non-increasing order, previous: {numbers[0]}, current: {numbers[1]}"
    return numbers[0], numbers[-1]
