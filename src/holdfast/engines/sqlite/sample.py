"""Makes up a small shop, so that a backup and its proof can be seen without a database at hand."""

import random
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path

from holdfast.kit import durable

FOLDER = "samples"
"""Below Holdfast's own directory; the only files there that are attached."""
_NAME = "shop.db"
_CUSTOMERS, _PRODUCTS, _ORDERS, _MOST_LINES = 400, 60, 3_000, 5
_SCHEMA = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, town TEXT NOT NULL);
CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, cents INTEGER NOT NULL);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers,
    ordered_at TEXT NOT NULL);
CREATE TABLE order_lines (order_id INTEGER NOT NULL REFERENCES orders,
    product_id INTEGER NOT NULL REFERENCES products, pieces INTEGER NOT NULL,
    PRIMARY KEY (order_id, product_id)) WITHOUT ROWID;
CREATE INDEX orders_of_customer ON orders (customer_id);
CREATE VIEW turnover AS SELECT substr(ordered_at, 1, 10) AS day, sum(pieces * cents) AS cents
    FROM orders JOIN order_lines ON order_id = orders.id JOIN products ON product_id = products.id
    GROUP BY day;
"""
_FIRST_NAMES = ("Ada", "Bruno", "Chiara", "Dilek", "Emil", "Fatou", "Goran", "Hana", "Ivo", "Jún")
_LAST_NAMES = ("Okafor", "Lindqvist", "Moreau", "Šimić", "Tanaka", "Weiß", "Yılmaz", "Nowak")
_TOWNS = ("Århus", "Bologna", "Cork", "Dresden", "Évora", "Gdańsk", "Lyon", "Uppsala")
_GOODS = ("lamp", "chair", "kettle", "notebook", "scarf", "clock", "basket", "rug", "mug", "stool")
_COLOURS = ("black", "blue", "green", "grey", "red", "white")


def make(private: Path) -> Path:
    """The file of the sample, below Holdfast's directory `private`; one that is there stays."""
    path = private / FOLDER / _NAME
    if not path.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        draft = path.with_name(f".{_NAME}.{secrets.token_hex(6)}")
        draft.touch(mode=0o600)
        with closing(sqlite3.connect(draft, isolation_level=None)) as session:
            session.executescript(_SCHEMA)
            session.execute("BEGIN")
            _fill(session, random.Random(7))  # noqa: S311 - nothing here is a secret
            session.execute("COMMIT")
        durable.move(draft, path)
    return path


def _fill(session: sqlite3.Connection, chance: random.Random) -> None:
    customers = [
        (f"{chance.choice(_FIRST_NAMES)} {chance.choice(_LAST_NAMES)}", chance.choice(_TOWNS))
        for _ in range(_CUSTOMERS)
    ]
    products = [
        (f"{colour} {good}", chance.randrange(300, 20_000, 5))
        for good in _GOODS
        for colour in _COLOURS
    ]
    orders = [
        (
            number + 1,
            chance.randint(1, _CUSTOMERS),
            f"2026-{1 + number * 12 // _ORDERS:02}-{chance.randint(1, 28):02}"
            f"T{chance.randint(7, 22):02}:{chance.randint(0, 59):02}:00Z",
        )
        for number in range(_ORDERS)
    ]
    lines = [
        (order, product, chance.randint(1, 4))
        for order, *_ in orders
        for product in chance.sample(range(1, _PRODUCTS + 1), chance.randint(1, _MOST_LINES))
    ]
    session.executemany("INSERT INTO customers (name, town) VALUES (?, ?)", customers)
    session.executemany("INSERT INTO products (name, cents) VALUES (?, ?)", products)
    session.executemany("INSERT INTO orders VALUES (?, ?, ?)", orders)
    session.executemany("INSERT INTO order_lines VALUES (?, ?, ?)", lines)
