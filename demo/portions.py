"""How the bytes are shared out: one INSERT per kind of data, computed by the server itself.

Every row is a function of its number, so the same size makes the same data.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import LiteralString

from demo.schema import SECOND

PASSAGES = 20_000
_BATCH_BYTES = 6_000_000

# `h` spreads what neighbours look like; `p` is the passage of this row.
_ROWS: LiteralString = """
  FROM generate_series(%(first)s::bigint, %(last)s::bigint) g
 CROSS JOIN LATERAL (SELECT hashint8(g)::bigint & 2147483647 AS h) hashed
  JOIN seed.passage p ON p.id = h %% 20000
"""
_CUSTOMER: LiteralString = """
INSERT INTO shop.customer (id, email, full_name, address, portrait, score, joined)
SELECT g, split_part(p.text, ' ', 1) || '.' || g || '@example.org',
       initcap(split_part(p.text, ' ', 2) || ' ' || split_part(p.text, ' ', 5)),
       jsonb_build_object('street', initcap(substr(p.text, 40, 14)), 'number', h %% 200,
                          'city', (ARRAY['Lyon', 'Gdańsk', 'Porto', 'Graz', 'Århus'])[1 + h %% 5],
                          'geo', jsonb_build_array(h / 97.0, NULL, -h / 89.0)),
       sha512(g::text::bytea) || sha512(h::text::bytea), h / 3.0,
       '2019-01-01'::timestamptz + h * interval '0.1 seconds'
"""
_PURCHASE: LiteralString = """
INSERT INTO shop.purchase (customer, bought, total, details)
SELECT 1 + h %% %(customers)s, '2023-01-01'::date + (h %% 900)::int, (h %% 500000) / 100.0,
       jsonb_build_object('sku', 'SKU-' || 1000 + h %% 9000, 'quantity', 1 + h %% 7,
                          'gift', h %% 11 = 0, 'note', left(p.text, (h %% 120)::int),
                          'session', gen_random_uuid(), 'tags',
                          to_jsonb(string_to_array(substr(p.text, 200, 40), ' ')))
"""
_REVIEW: LiteralString = """
INSERT INTO shop.review (customer, product, stars, written, body)
SELECT 1 + h %% %(customers)s, 'SKU-' || 1000 + h %% 9000, 1 + h %% 5,
       '2023-01-01'::timestamptz + h * interval '40 milliseconds',
       left(p.text, (200 + h %% 700)::int)
"""
_DOCUMENT: LiteralString = """
INSERT INTO shop.document
SELECT g, 'letter ' || g, (SELECT string_agg(sha512((g * 100 + i)::text::bytea), '')
                             FROM generate_series(1, 60) i)
"""
_ATTACHMENT: LiteralString = """
INSERT INTO shop.attachment
SELECT g, lo_from_bytea(0, convert_to(repeat(left(p.text, 500) || g || E'\\n', 100), 'UTF8')
                           || sha512(g::text::bytea))
"""
_LETTER: LiteralString = """
INSERT INTO letter (year, body) SELECT 1950 + h %% 75, g || E'. letter\\n\\n' || p.text
"""


@dataclass(frozen=True)
class Portion:
    """`share` of all bytes, made of rows of about `row_bytes` each in the dump."""

    database: str | None
    statement: LiteralString
    share: float
    row_bytes: int

    def rows(self, size: int) -> int:
        return max(20, int(size * self.share / self.row_bytes))


@dataclass(frozen=True)
class Batch:
    """The rows `first` to `last` of a portion, about `size` bytes."""

    database: str | None
    statement: LiteralString
    first: int
    last: int
    size: int


CUSTOMERS = Portion(None, _CUSTOMER + _ROWS, 0.05, 500)
PORTIONS = (
    CUSTOMERS,
    Portion(None, _REVIEW + _ROWS, 0.45, 610),
    Portion(None, _PURCHASE + _ROWS, 0.30, 290),
    Portion(None, _DOCUMENT + _ROWS, 0.05, 7700),
    Portion(None, _ATTACHMENT + _ROWS, 0.05, 50_000),
    Portion(SECOND, _LETTER + _ROWS, 0.10, 1000),
)


def batches(size: int) -> Iterator[Batch]:
    """Everything that makes up about `size` bytes of dump, in pieces of a few MB."""
    for portion in PORTIONS:
        rows = portion.rows(size)
        step = max(1, _BATCH_BYTES // portion.row_bytes)
        for first in range(1, rows + 1, step):
            last = min(first + step - 1, rows)
            made = (last - first + 1) * portion.row_bytes
            yield Batch(portion.database, portion.statement, first, last, made)
