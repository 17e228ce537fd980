"""Everything on the list of an archive is loaded once, in an order that works."""

import pytest

from holdfast.engines.postgresql.load.load_plan import divide, lists, text

BEFORE = """;
; Archive created at 2026-11-28 05:00:00 UTC
;     Format: CUSTOM
9; 2615 16660 SCHEMA - odd schema admin
3700; 0 0 ACL - SCHEMA shop admin
226; 1259 16724 TABLE public ACL admin
3707; 0 0 ACL shop TABLE customer admin
"""
DATA = """;
1; 0 16724 TABLE DATA odd schema Ta"ble; DROP admin
2; 0 16732 TABLE DATA public small admin
3; 0 16686 TABLE DATA a.b c.d some owner
4; 0 0 SEQUENCE SET public ticket admin
5; 0 0 BLOB METADATA - 16764 admin
6; 0 0 ACL - LARGE OBJECT 16764 admin
7; 0 0 BLOBS - BLOBS admin
8; 0 16687 TABLE DATA public more admin
"""
AFTER = "20; 2606 16696 CONSTRAINT shop customer customer_email_key admin\n"
ROWS = {'odd schema.Ta"ble; DROP': 50, "public.small": 1, "a.b.c.d": 100, "public.more": 60}


def test_grants_wait_for_the_data() -> None:
    before, data, after = lists(BEFORE, DATA, AFTER)
    assert [line.split(";")[0] for line in before] == ["9", "226"]
    assert [line.split(";")[0] for line in data] == ["1", "2", "3", "4", "5", "7", "8"]
    assert [line.split(";")[0] for line in after] == ["3700", "3707", "6", "20"]


@pytest.mark.parametrize("most", [1, 2, 3, 4, 9])
def test_each_entry_is_in_one_share_in_the_order_of_the_archive(most: int) -> None:
    data = lists("", DATA, "").data
    shares = divide(data, ROWS, most)
    assert len(shares) == min(most, 4)
    assert sorted(line for share in shares for line in share.lines) == sorted(data)
    assert all(list(share.lines) == sorted(share.lines) for share in shares)
    assert max(share.end for share in shares) == 6


def test_shares_have_about_as_many_rows() -> None:
    first, second = divide(lists("", DATA, "").data, ROWS, 2)
    ids = [[line.split(";")[0] for line in share.lines] for share in (first, second)]
    assert ids == [["2", "3", "4", "5", "7"], ["1", "8"]]


def test_a_database_without_tables_is_one_share() -> None:
    (only,) = divide([], {}, 4)
    assert text(only.lines) == b""


def test_a_name_cannot_add_a_line() -> None:
    listing = "1; 0 1 TABLE DATA public x\x0b2; 0 2 TABLE DATA public y admin\n"
    assert len(lists("", listing, "").data) == 1
