"""Stored objects as one tar: stock tools open it, and any part of it is a part of the whole."""

import gzip
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.pipeline.bundle import Bundle, Content

PACK = {"gz": gzip.compress, "zstd": zstandard.ZstdCompressor().compress}
OPEN = {"gz": ["gzip", "-dc"], "zstd": ["zstd", "-dc"]}

FILES = st.dictionaries(
    st.from_regex("[a-z]{1,8}[.](dump|sql)", fullmatch=True),
    st.binary(min_size=1, max_size=1500),
    max_size=4,
)
FORM = st.sampled_from(["gz", "zstd"])


def bundle(files: dict[str, bytes], form: str) -> tuple[Bundle, dict[str, bytes]]:
    stored = {name: PACK[form](data) for name, data in files.items()}
    contents = [Content(name, name, len(files[name]), len(stored[name])) for name in files]
    return Bundle(contents, form, 1_700_000_000), stored


def read(made: Bundle, stored: dict[str, bytes], start: int, end: int) -> bytes:
    def piece(key: str, low: int, high: int) -> Iterator[bytes]:
        yield stored[key][low:high]

    return b"".join(made.read(start, end, piece))


@given(FILES, FORM, st.data())
def test_any_range_is_a_slice_of_the_whole(
    files: dict[str, bytes], form: str, data: st.DataObject
) -> None:
    made, stored = bundle(files, form)
    whole = read(made, stored, 0, made.size)
    assert len(whole) == made.size
    start = data.draw(st.integers(0, made.size))
    end = data.draw(st.integers(start, made.size))
    assert read(made, stored, start, end) == whole[start:end]


@pytest.mark.parametrize("form", ["gz", "zstd"])
@settings(max_examples=15, deadline=None)
@given(files=FILES)
def test_stock_tools_unpack_what_was_stored(
    tmp_path_factory: pytest.TempPathFactory, form: str, files: dict[str, bytes]
) -> None:
    made, stored = bundle(files, form)
    whole = read(made, stored, 0, made.size)
    tar = subprocess.run(OPEN[form], input=whole, check=True, capture_output=True).stdout
    place: Path = tmp_path_factory.mktemp("out")
    subprocess.run(["tar", "-x", "-C", str(place)], input=tar, check=True, capture_output=True)
    found = {path.name: path.read_bytes() for path in place.iterdir()}
    assert found == files


def test_the_same_input_gives_the_same_bytes() -> None:
    files = {"a.dump": b"x" * 700, "b.sql": b"y"}
    one, two = (read(*bundle(files, "gz"), 0, 10**6) for _ in range(2))
    assert one == two
