"""Cursor slicing for every list: newest first, stable when rows arrive.

A cursor is 24 lowercase hex characters: the last row's key and a checksum over the list it came
from. It holds no position that could shift, and one made for another list, or by hand, is refused.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute

from holdfast.catalog.session import ReadSession
from holdfast.domain.errors import Invalid
from holdfast.domain.naming import HEX24

DEFAULT_SIZE = 50

T = TypeVar("T")


@dataclass(frozen=True)
class Page:
    """What was asked for. `cursor` beats `number`: the official client repeats both."""

    size: int = DEFAULT_SIZE
    number: int = 1
    cursor: str | None = None


@dataclass(frozen=True)
class Slice(Generic[T]):
    """One page. `cursor` is None on the last one."""

    items: list[T]
    cursor: str | None


def take(
    session: ReadSession,
    rows: Select[T],
    key: InstrumentedAttribute[int],
    page: Page,
    scope: str,
) -> Slice[T]:
    """One page of `rows`, which must not be ordered yet; `scope` names the list."""
    wanted = rows.order_by(key.desc()).limit(page.size + 1)
    if page.cursor is not None:
        wanted = wanted.where(key < _opened(page.cursor, scope))
    else:
        wanted = wanted.offset((page.number - 1) * page.size)
    found = list(session.scalars(wanted))
    items = found[: page.size]
    more = len(found) > page.size
    return Slice(items, _cursor(_key_of(items[-1], key), scope) if more else None)


def _key_of(row: Any, key: InstrumentedAttribute[int]) -> int:
    return getattr(row, key.key)


def _check(key: bytes, scope: str) -> bytes:
    return hashlib.sha256(key + scope.encode()).digest()[:4]


def _cursor(key: int, scope: str) -> str:
    packed = key.to_bytes(8, "big")
    return (packed + _check(packed, scope)).hex()


def _opened(cursor: str, scope: str) -> int:
    raw = bytes.fromhex(cursor) if re.fullmatch(HEX24, cursor) else b""
    if raw[8:] != _check(raw[:8], scope) or raw[0] >= 0x80:
        problem = "is not a cursor of this list"
        raise Invalid(f"the cursor {problem}", {"cursor": problem})
    return int.from_bytes(raw[:8], "big")
