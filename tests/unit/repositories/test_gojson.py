"""Go's quoting and JSON: known outputs, and what goes in comes out."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.errors import SealBroken
from holdfast.repositories.restic.format import go_json


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        (b"a\\b", r"a\\b"),
        (b'"\a\b\f\n\r\t\v', r"\"\a\b\f\n\r\t\v"),
        (b"\x00\x1f\x7f", r"\x00\x1f\x7f"),
        (b"\xff\xe2\x82", r"\xff\xe2\x82"),
        ("\u0085\u00ad\u2028\ufeff".encode(), r"\u0085\u00ad\u2028\ufeff"),
        ("ü\ufffd😀<&>'".encode(), "ü\ufffd😀<&>'"),
        ("\U000e0001".encode(), r"\U000e0001"),
    ],
)
def test_names_are_quoted_as_go_does(name: bytes, quoted: str) -> None:
    assert go_json.quote(name) == quoted
    assert go_json.unquote(quoted) == name


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "replace")))
def test_every_name_survives_quoting_and_json(name: bytes) -> None:
    document = json.loads(go_json.dumps({"name": go_json.quote(name)}))

    assert go_json.unquote(document["name"]) == name


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_json_means_what_was_said(text: str) -> None:
    assert json.loads(go_json.dumps([text])) == [text]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("<a>&\u2028\u2029", rb'"\u003ca\u003e\u0026\u2028\u2029"'),
        ("\b\f\n\r\t\x01\x7f", rb'"\u0008\u000c\n\r\t\u0001' + b'\x7f"'),
        (r"\b\f\\b", rb'"\\b\\f\\\\b"'),
        ("\udcff\udce2", rb'"\ufffd\ufffd"'),
        ("ü😀", '"ü😀"'.encode()),
    ],
)
def test_text_is_written_as_go_does(text: str, written: bytes) -> None:
    assert go_json.dumps(text) == written


@pytest.mark.parametrize("text", ["\\", "\\x1", "\\q", "\\xzz", "\\ud800", "\\U00110000"])
def test_what_no_quoting_writes_is_named(text: str) -> None:
    with pytest.raises(SealBroken, match="no name"):
        go_json.unquote(text)


@given(st.integers(-62_135_596_800_000_000_000, 253_402_300_799_999_999_999))
def test_instants_come_back_exactly(instant: int) -> None:
    assert go_json.parse_instant(go_json.instant(instant)) == instant


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_500_000_000, "1970-01-01T00:00:01.5Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (-62_135_596_800_000_000_000, "0001-01-01T00:00:00Z"),
    ],
)
def test_instants_are_written_as_go_does(instant: int, text: str) -> None:
    assert go_json.instant(instant) == text


def test_instants_of_other_zones_are_understood() -> None:
    assert go_json.parse_instant("1970-01-01T02:00:00.25+02:00") == 250_000_000
    assert go_json.parse_instant("1970-01-01T00:00:00-01:00") == 3_600_000_000_000
