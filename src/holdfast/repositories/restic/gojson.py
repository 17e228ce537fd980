"""JSON and quoting byte for byte as Go writes them.

restic computes an object's name from its bytes and refuses to rewrite a tree that it would have
written differently, so "equal in meaning" is not enough: `<`, `>`, `&` and two line separators
are escaped, and names are quoted by the rules of Go's `strconv.Quote`.
"""

import json
from datetime import UTC, datetime

_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_TABLE = str.maketrans(_HTML)
_ESCAPES = dict(zip('\a\b\f\n\r\t\v\\"', (f"\\{char}" for char in 'abfnrtv\\"'), strict=True))


def dumps(document: object) -> bytes:
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    # Go writes \b and \f as \u0008 and \u000c, and DEL as it is.
    return text.translate(_TABLE).replace("\\b", "\\u0008").replace("\\f", "\\u000c").encode()


def quote(name: bytes) -> str:
    """Go's `strconv.Quote` without the quotation marks: bytes that are no UTF-8 become `\\xNN`."""
    out: list[str] = []
    for char in name.decode("utf-8", "surrogateescape"):
        code = ord(char)
        if 0xDC80 <= code <= 0xDCFF:
            out.append(f"\\x{code - 0xDC00:02x}")
        elif char in _ESCAPES:
            out.append(_ESCAPES[char])
        elif char == " " or (char.isprintable() and code != 0x7F):
            out.append(char)
        elif code < 0x80:
            out.append(f"\\x{code:02x}")
        elif code < 0x10000:
            out.append(f"\\u{code:04x}")
        else:
            out.append(f"\\U{code:08x}")
    return "".join(out)


def unquote(text: str) -> bytes:
    out, at = bytearray(), 0
    while at < len(text):
        if text[at] != "\\":
            out += text[at].encode()
            at += 1
            continue
        at = _escape(text, at + 1, out)
    return bytes(out)


_SINGLE = {value[1]: ord(key) for key, value in _ESCAPES.items()}
_WIDTH = {"x": 2, "u": 4, "U": 8}


def _escape(text: str, at: int, out: bytearray) -> int:
    kind = text[at]
    if kind in _SINGLE:
        out.append(_SINGLE[kind])
        return at + 1
    width = _WIDTH[kind]
    code = int(text[at + 1 : at + 1 + width], 16)
    out += bytes([code]) if kind == "x" else chr(code).encode()
    return at + 1 + width


def instant(nanoseconds: int) -> str:
    """RFC 3339 in UTC with as many digits as needed: Go's RFC3339Nano."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    base = f"{datetime.fromtimestamp(seconds, tz=UTC):%Y-%m-%dT%H:%M:%S}"
    digits = f"{rest:09d}".rstrip("0")
    return f"{base}.{digits}Z" if digits else f"{base}Z"


def parse_instant(text: str) -> int:
    """RFC 3339 with any number of digits and any offset, to ns since 1970."""
    main, _, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))] if rest else ""
    zone = rest[len(digits) :] if rest else ""
    moment = datetime.fromisoformat(f"{main}{zone}")
    return int(moment.timestamp()) * 1_000_000_000 + int(f"{digits:0<9}"[:9] or 0)
