"""Rows of scripts are compared whatever their statements look like."""

import pytest

from holdfast.contracts.drills import Content
from holdfast.contracts.engine import Member
from holdfast.domain.errors import EvidenceMissing, NotSupported
from holdfast.engines.mysql.drills.content import content
from holdfast.engines.mysql.dump.archive import ACCOUNTS, SCRIPT

HEAD = b"-- MariaDB dump 10.19\n\nUSE `shop`;\n"
TAIL = b"\n-- Dump completed on 2026-01-01\n"
ROWS = [
    rb"1,'it\'s; ),(',NULL",
    rb"2,'\\',0x00FF",
    rb"3,'''quoted'' (\n)',-1.5e10",
    rb"4,'',_binary '(\')'",
]


def of_script(body: bytes, piece: int = 1 << 16) -> dict[str, Content]:
    text = HEAD + body + TAIL
    chunks = (text[at : at + piece] for at in range(0, len(text), piece))
    return dict(content(Member("databases.sql", SCRIPT, None), chunks))


def as_mariadb(*rows: bytes) -> bytes:
    return b"INSERT INTO `t` VALUES\n(" + b"),\n(".join(rows) + b");\n"


def as_mysql(*rows: bytes) -> bytes:
    return b"INSERT INTO `t` (`a`, `b ``, c`) VALUES (" + b"),(".join(rows) + b");\n"


def test_batches_order_and_the_form_of_inserts_do_not_matter() -> None:
    whole = of_script(as_mariadb(*ROWS))
    assert whole["shop.t"].rows == 4
    assert of_script(as_mysql(*ROWS)) == whole
    assert of_script(as_mariadb(*ROWS), piece=5) == whole
    assert of_script(as_mysql(ROWS[3], ROWS[0]) + as_mariadb(ROWS[2]) + as_mysql(ROWS[1])) == whole
    assert of_script(as_mariadb(*ROWS[:3])) != whole
    assert of_script(as_mysql(*ROWS, ROWS[0])) != whole


def test_tables_belong_to_their_database_and_sequences_count() -> None:
    body = (
        b"CREATE TABLE `empty` (`a` int);\nDO SETVAL(`s`, 5, 0);\nUSE `#mysql50#odd-name`;\n"
        + as_mysql(b"1")
        + b"USE `a``b`;\n"
        + as_mysql(b"1")
    )
    assert {name: found.rows for name, found in of_script(body).items()} == {
        "shop.s": 1,
        "odd-name.t": 1,
        "a`b.t": 1,
    }


def test_damage_is_named() -> None:
    with pytest.raises(EvidenceMissing, match="cannot be read"):
        of_script(b"INSERT INTO `t` VALUES (1),(2;\n")
    with pytest.raises(EvidenceMissing, match="Dump completed"):
        content(Member("databases.sql", SCRIPT, None), iter([HEAD + as_mysql(b"1")]))
    with pytest.raises(EvidenceMissing, match="accounts"):
        content(Member("accounts.sql", ACCOUNTS, None), iter([b"-- cut"]))
    with pytest.raises(NotSupported):
        content(Member("imported.sql", "foreign-script", None), iter([b""]))
