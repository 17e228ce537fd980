"""A command is split into words as redis-cli does it."""

import pytest

from holdfast.engines.redis.drills.assertions import split_words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"GET key", [b"GET", b"key"]),
        (b"  GET\t'it\\'s'  ", [b"GET", b"it's"]),
        (rb'GET "a \"b\" \x00\xFF\n\\"', [b"GET", b'a "b" \x00\xff\n\\']),
        (rb"GET '\x41\n'", [b"GET", rb"\x41\n"]),
        (b'GET ""', [b"GET", b""]),
        (b'GET a"b', []),
        (b'GET "open', []),
        (b'GET "a"b', []),
        (b"GET 'open", []),
        (b" ", []),
    ],
)
def test_words(line: bytes, words: list[bytes]) -> None:
    assert split_words(line) == words
