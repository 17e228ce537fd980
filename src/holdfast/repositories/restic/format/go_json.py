"""Writes JSON and quotes names byte for byte as Go does.

restic computes an object's name from its bytes and refuses to rewrite a tree that it would have
written differently, so "equal in meaning" is not enough: `<`, `>`, `&` and two line separators
are escaped, and names are quoted by the rules of Go's `strconv.Quote`.
"""

import json
import re
from datetime import UTC, datetime, timedelta

from holdfast.domain.errors import SealBroken

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)

_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_LOST = dict.fromkeys(range(0xDC80, 0xDD00), "\\ufffd")  # a byte that is no UTF-8
_TABLE = str.maketrans(_HTML) | _LOST
_PAIR = re.compile(r"\\(.)")
_LONG = {"b": "\\u0008", "f": "\\u000c"}
_ESCAPES = dict(zip('\a\b\f\n\r\t\v\\"', (f"\\{char}" for char in 'abfnrtv\\"'), strict=True))


def dumps(document: object) -> bytes:
    """Returns the document's JSON.

    Bytes that are no UTF-8 (`surrogateescape` in text) are replaced as Go replaces them. Go writes
    \\b and \\f as \\u0008 and \\u000c, and DEL as it is.
    """
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    text = _PAIR.sub(lambda pair: _LONG.get(pair[1], pair[0]), text)
    return text.translate(_TABLE).encode()


def quote(name: bytes) -> str:
    """Quotes as Go's `strconv.Quote`, without the marks: bytes that are no UTF-8 become `\\xNN`."""
    return "".join(map(_quoted, name.decode("utf-8", "surrogateescape")))


def _quoted(char: str) -> str:
    code = ord(char)
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def unquote(text: str) -> bytes:
    """Inverts `quote`. Raises SealBroken for a text that `quote` cannot have written."""
    out, at = bytearray(), 0
    try:
        while at < len(text):
            if text[at] != "\\":
                out += text[at].encode()
                at += 1
                continue
            at = _unescape(text, at + 1, out)
    except (IndexError, KeyError, ValueError) as error:
        raise SealBroken(f"{text!r} is no name that the repository's format allows") from error
    return bytes(out)


_SINGLE = {value[1]: ord(key) for key, value in _ESCAPES.items()}
_WIDTH = {"x": 2, "u": 4, "U": 8}


def _unescape(text: str, at: int, out: bytearray) -> int:
    """Appends the bytes of the escape at `at` to `out`; returns where the text goes on."""
    kind = text[at]
    if kind in _SINGLE:
        out.append(_SINGLE[kind])
        return at + 1
    width = _WIDTH[kind]
    digits = text[at + 1 : at + 1 + width]
    if len(digits) != width:
        raise ValueError(text)
    code = int(digits, 16)
    out += bytes([code]) if kind == "x" else chr(code).encode()
    return at + 1 + width


def instant(nanoseconds: int) -> str:
    """Formats as RFC 3339 in UTC with as many digits as needed: Go's RFC3339Nano."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    base = (_EPOCH + seconds * _SECOND).replace(tzinfo=None).isoformat()
    digits = f"{rest:09d}".rstrip("0")
    return f"{base}.{digits}Z" if digits else f"{base}Z"


def parse_instant(text: str) -> int:
    """Parses RFC 3339 with any number of digits and any offset; returns ns since 1970."""
    main, _, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))] if rest else ""
    zone = rest[len(digits) :] if rest else ""
    seconds = (datetime.fromisoformat(f"{main}{zone}") - _EPOCH) // _SECOND
    return seconds * 1_000_000_000 + int(f"{digits:0<9}"[:9] or 0)
