"""Schedules: what fits, what comes next, what is wrong; the examples are those of the cron library's own tests."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from orlop.api import cron


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("0/15 * * * *", "2012-07-09T14:45", "2012-07-09T15:00"),
        ("0/15 * * * *", "2012-07-09T14:59", "2012-07-09T15:00"),
        ("20-35/15 * * * *", "2012-07-09T15:45", "2012-07-09T16:20"),
        ("*/15 * * * *", "2012-12-31T23:46", "2013-01-01T00:00"),
        ("0 0 */3 * *", "2012-07-09T23:35", "2012-07-10T00:00"),
        ("0 0 1 Feb *", "2012-07-09T23:35", "2013-02-01T00:00"),
        ("0 0 29 Feb ?", "2012-07-09T23:35", "2016-02-29T00:00"),
        ("0 0 * Feb Mon/2", "2012-07-09T23:35", "2013-02-01T00:00"),
        ("0 0 1,15 * Sun", "2012-07-09T00:00", "2012-07-15T00:00"),
        ("0 0 1 * Sun", "2012-07-09T00:00", "2012-07-15T00:00"),
        ("@hourly", "2012-07-09T14:45", "2012-07-09T15:00"),
        ("@weekly", "2012-07-09T14:45", "2012-07-15T00:00"),
        ("@yearly", "2012-07-09T14:45", "2013-01-01T00:00"),
        ("0 12 * * mon-FRI", "2012-07-13T12:00", "2012-07-16T12:00"),
    ],
)
def test_next(text: str, after: str, expected: str) -> None:
    assert cron.parse(text).after(datetime.fromisoformat(after)) == datetime.fromisoformat(expected)


def test_every() -> None:
    moment = datetime(2012, 7, 9, 14, 45, 0, 500_000)
    assert cron.parse("@every 1h30m").after(moment) == moment.replace(microsecond=0) + timedelta(minutes=90)


def test_never() -> None:
    assert cron.parse("0 0 30 Feb *").after(datetime(2012, 7, 9)) is None


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "empty spec string"),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-3 * * * *", "beginning of range (5) beyond end of range (3): 5-3"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("@never", "unrecognized descriptor: @never"),
        ("@every x", 'failed to parse duration @every x: time: invalid duration "x"'),
    ],
)
def test_wrong(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=r"^" + re.escape(error) + "$"):
        cron.parse(text)


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        # clocks go forward: the hour from two to three is left out
        ("0 * * * *", "2012-03-11T01:00:00-05:00", "2012-03-11T03:00:00-04:00"),
        ("30 2 * * *", "2012-03-11T00:00:00-05:00", "2012-03-12T02:30:00-04:00"),
        ("0 0 * * *", "2012-03-10T00:00:00-05:00", "2012-03-11T00:00:00-05:00"),
        ("0 3 * * *", "2012-03-11T00:00:00-05:00", "2012-03-11T03:00:00-04:00"),
        # clocks go back: the hour from one to two comes twice
        ("0 * * * *", "2012-11-04T01:00:00-04:00", "2012-11-04T01:00:00-05:00"),
        ("30 1 * * *", "2012-11-04T01:30:00-04:00", "2012-11-04T01:30:00-05:00"),
        ("30 1 * * *", "2012-11-04T01:30:00-05:00", "2012-11-05T01:30:00-05:00"),
        ("0 2 * * *", "2012-11-04T00:00:00-04:00", "2012-11-04T02:00:00-05:00"),
        ("0 0 * * *", "2012-11-04T00:00:00-04:00", "2012-11-05T00:00:00-05:00"),
    ],
)
def test_next_where_clocks_are_changed(text: str, after: str, expected: str) -> None:
    moment = datetime.fromisoformat(after).astimezone(ZoneInfo("America/New_York"))
    found = cron.parse(text).after(moment)
    assert found is not None
    assert found.isoformat() == expected


def test_a_day_that_begins_at_one() -> None:
    """In Cairo clocks go forward at midnight: the day's first hour is left out."""
    moment = datetime(2023, 4, 27, 12, tzinfo=ZoneInfo("Africa/Cairo"))
    found = cron.parse("0 * 28 4 *").after(moment)
    assert found is not None
    assert found.astimezone(UTC) == datetime(2023, 4, 27, 22, tzinfo=UTC)
