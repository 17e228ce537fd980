"""Cursor slicing for every list: newest first, stable when rows arrive.

A cursor is 24 lowercase hex characters: the last row's key and a checksum over the list it came
from. It holds no position that could shift, and one made for another list, or by hand, is refused.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import BigInteger, Integer, Select, bindparam
from sqlalchemy.orm import InstrumentedAttribute

from holdfast.catalog.database.session import ReadSession
from holdfast.domain.errors import Invalid
from holdfast.domain.naming import HEX24

DEFAULT_SIZE = 50

T = TypeVar("T")
Reading = Callable[[ReadSession, Select[T], Mapping[str, object]], Sequence[T]]


@dataclass(frozen=True)
class Page:
    """The requested page. `cursor` beats `number`: the official client repeats both."""

    size: int = DEFAULT_SIZE
    number: int = 1
    cursor: str | None = None


@dataclass(frozen=True)
class Slice(Generic[T]):
    """One page of items. `cursor` is None on the last page."""

    items: list[T]
    cursor: str | None


class Listing(Generic[T]):
    """A list whose statements are built once, which costs more than reading most pages.

    `rows` must not be ordered yet; values that differ from page to page are bound by name. `key`
    is the column that pages are ordered by, the newest first. `read` reads the rows, by default as
    entities. `unfiltered` are the same rows without conditions: with it, an index that covers the
    conditions passes over the keys of earlier pages, and their rows are not read.
    """

    def __init__(
        self,
        rows: Select[T],
        key: InstrumentedAttribute[int],
        read: Reading[T] | None = None,
        unfiltered: Select[T] | None = None,
    ) -> None:
        limit = bindparam("page_limit", type_=Integer)
        offset = bindparam("page_offset", type_=BigInteger)
        ordered = rows.order_by(key.desc()).limit(limit)
        self._numbered = ordered.offset(offset)
        if unfiltered is not None:
            keys = self._numbered.with_only_columns(key)
            self._numbered = unfiltered.where(key.in_(keys)).order_by(key.desc())
        self._past = ordered.where(key < bindparam("page_past", type_=BigInteger))
        self._key = key.key
        self._read: Reading[T] = read or (
            lambda session, rows, bound: session.scalars(rows, bound).all()
        )

    def take(self, session: ReadSession, page: Page, scope: str, **bound: object) -> Slice[T]:
        """One page; `scope` names the list."""
        bound["page_limit"] = page.size + 1
        if page.cursor is not None:
            bound["page_past"] = decode_cursor(page.cursor, scope)
            rows = self._read(session, self._past, bound)
        else:
            bound["page_offset"] = (page.number - 1) * page.size
            rows = self._read(session, self._numbered, bound)
        items = list(rows[: page.size])
        more = len(rows) > page.size
        return Slice(items, encode_cursor(getattr(items[-1], self._key), scope) if more else None)


def take(
    session: ReadSession,
    rows: Select[T],
    key: InstrumentedAttribute[int],
    page: Page,
    scope: str,
) -> Slice[T]:
    """One page of a statement that is built for this call only."""
    return Listing(rows, key).take(session, page, scope)


def _check(key: bytes, scope: str) -> bytes:
    return hashlib.sha256(key + scope.encode()).digest()[:4]


def encode_cursor(key: int, scope: str) -> str:
    packed = key.to_bytes(8, "big")
    return (packed + _check(packed, scope)).hex()


def decode_cursor(cursor: str, scope: str) -> int:
    raw = bytes.fromhex(cursor) if re.fullmatch(HEX24, cursor) else b""
    if raw[8:] != _check(raw[:8], scope) or raw[0] >= 0x80:
        problem = "is not a cursor of this list"
        raise Invalid(f"the cursor {problem}", {"cursor": problem})
    return int.from_bytes(raw[:8], "big")
