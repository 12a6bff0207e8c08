import pytest

from orlop.apiserver.table.duration import human, since


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (0.9, "0s"),
        (1, "1s"),
        (119, "119s"),
        (120, "2m"),
        (121, "2m1s"),
        (599, "9m59s"),
        (600, "10m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 60, "3h1m"),
        (8 * 3600 - 1, "7h59m"),
        (8 * 3600, "8h"),
        (48 * 3600 - 1, "47h"),
        (48 * 3600, "2d"),
        (49 * 3600, "2d1h"),
        (8 * 86400 - 1, "7d23h"),
        (8 * 86400, "8d"),
        (2 * 365 * 86400 - 1, "729d"),
        (2 * 365 * 86400, "2y"),
        (2 * 365 * 86400 + 86400, "2y1d"),
        (8 * 365 * 86400, "8y"),
        (9.9 * 365 * 86400, "9y"),
    ],
)
def test_two_units_only_where_the_second_matters(seconds: float, shown: str) -> None:
    assert human(seconds) == shown


def test_age() -> None:
    assert since("2026-01-01T00:00:00Z", 1767225660.0) == "60s"
    assert since("2026-01-01T00:00:00.500000Z", 1767225660.0) == "59s"
    assert since(None, 0.0) == "<unknown>"
