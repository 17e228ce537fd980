"""Text of values does not depend on the session that wrote it."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.engines.postgresql.drills.value_texts import digits, in_utc


@pytest.mark.parametrize(
    ("written", "in_utc_text"),
    [
        ("2020-01-01 00:30:00+05:45", "2019-12-31 18:45:00+00"),
        ("2020-02-29 23:59:59.999999-00:30", "2020-03-01 00:29:59.999999+00"),
        ("2000-02-28 20:00:00-04", "2000-02-29 00:00:00+00"),
        ("1900-02-28 20:00:00-04", "1900-03-01 00:00:00+00"),
        ("1850-07-01 00:19:32+00:19:32", "1850-07-01 00:00:00+00"),
        ("0001-01-01 01:00:00+02", "0001-12-31 23:00:00+00 BC"),
        ("0001-12-31 23:00:00-02 BC", "0001-01-01 01:00:00+00"),
        ("12345-12-31 23:00:00-02", "12346-01-01 01:00:00+00"),
        ('{"2020-01-01 00:30:00+01",NULL}', '{"2019-12-31 23:30:00+00",NULL}'),
        ("2020-01-01 00:30:00+00", "2020-01-01 00:30:00+00"),
        ("12:30:00+02", "12:30:00+02"),
        ("2020-01-01T00:30:00+01", "2020-01-01T00:30:00+01"),
    ],
)
def test_instants_are_in_utc(written: str, in_utc_text: str) -> None:
    assert in_utc(written.encode()) == in_utc_text.encode()


@given(
    st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)),
    st.integers(-15 * 60 + 1, 15 * 60 - 1),
)
def test_every_offset_leads_to_the_same_instant(naive: datetime, minutes: int) -> None:
    instant = naive.replace(tzinfo=UTC, microsecond=0)
    local = instant.astimezone(timezone(timedelta(minutes=minutes)))
    offset = local.isoformat(" ")[19:].removesuffix(":00")
    written = f"{local:%H:%M:%S}"
    year = f"{local.year:04}-{local:%m-%d}"
    expected = f"{instant.year:04}-{instant:%m-%d} {instant:%H:%M:%S}+00"
    assert in_utc(f"{year} {written}{offset}".encode()) == expected.encode()


def test_money_is_its_digits() -> None:
    assert digits(b"$1,234.50") == digits("1.234,50 €".encode()) == b"123450"
    assert digits(b"-$1.00") == digits(b"($1.00)") == b"-100"
    assert digits(rb"\N") == rb"\N"
