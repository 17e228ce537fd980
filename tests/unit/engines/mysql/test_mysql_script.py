"""Scripts are taken apart the same however they arrive, and judged by what stands first."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.mysql.dump.script import redirect_table, statements, with_binary_values
from holdfast.engines.mysql.dump.statement_rules import Fate, judge

SCRIPT = rb"""/*M!999999\- enable the sandbox mode */
-- MariaDB dump; don't split here
/*!40101 SET NAMES utf8mb4 */;
# another comment; here
CREATE TABLE `a;b` (v varchar(9) COMMENT 'it''s; \' "');
INSERT INTO `t` VALUES
(1,'a;b'),
(2,'c\n;');
DELIMITER ;;
CREATE PROCEDURE `p`() BEGIN /* ;; */ SELECT ";;"; -- don't ;;
 SELECT 1; END ;;
DELIMITER ;
SET @x = 1;
"""
STATEMENTS = [
    b"/*!40101 SET NAMES utf8mb4 */",
    rb"""CREATE TABLE `a;b` (v varchar(9) COMMENT 'it''s; \' "')""",
    b"INSERT INTO `t` VALUES\n(1,'a;b'),\n(2,'c\\n;')",
    b"""CREATE PROCEDURE `p`() BEGIN /* ;; */ SELECT ";;"; -- don't ;;\n SELECT 1; END""",
    b"SET @x = 1",
]


@given(st.lists(st.integers(1, len(SCRIPT)), max_size=20))
def test_it_does_not_matter_how_a_script_is_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(set(cuts)), len(SCRIPT)]
    chunks = (SCRIPT[a:b] for a, b in pairwise(edges))
    assert list(statements(chunks)) == STATEMENTS


@pytest.mark.parametrize("end", [b"SELECT 1", b"INSERT INTO `t` VALUES (1", b"CREATE TABLE `t` ('"])
def test_a_script_that_ends_inside_a_statement_is_refused(end: bytes) -> None:
    with pytest.raises(EvidenceMissing, match="ends inside"):
        list(statements(iter([b"SET @a = 1;\n" + end])))


@pytest.mark.parametrize(
    ("statement", "fate", "kind", "name"),
    [
        (b"INSERT INTO `t` VALUES (1)", Fate.ROWS, "", "t"),
        (b"INSERT INTO `t` (`a`, row_start) VALUES (1)", Fate.ROWS, "", "t"),
        (b"/*!50001 CREATE VIEW `v` AS SELECT 1 */", Fate.CODE, "views", "v"),
        (
            b"/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013 DEFINER=`a`@`%` SQL SECURITY"
            b" DEFINER */\n/*!50001 VIEW `v``w` AS select 1 */",
            Fate.CODE,
            "views",
            "v`w",
        ),
        (
            b"/*!50003 CREATE*/ /*!50017 DEFINER=`r`@`%`*/ /*!50003 TRIGGER tr BEFORE INSERT ON t"
            b" FOR EACH ROW SET @a = 1 */",
            Fate.CODE,
            "triggers",
            "tr",
        ),
        (b'CREATE DEFINER="r"@"%" PROCEDURE "p"() SELECT 1', Fate.CODE, "procedures", "p"),
        (b"/*!50106 CREATE*/ /*!50117 DEFINER=`r`@`h`*/ EVENT `e` DO x", Fate.CODE, "events", "e"),
        (b"CREATE DEFINER=`r`@`h` PACKAGE BODY `p` AS x", Fate.CODE, "packages", "p BODY"),
        (b"USE `shop`", Fate.USE, "", "shop"),
        (b"CREATE TABLE `t` (a int)", Fate.RUN, "", "t"),
        (b"DO SETVAL(`s`, 1001, 0)", Fate.RUN, "", ""),
        (b"/*!40000 ALTER TABLE `t` DISABLE KEYS */", Fate.RUN, "", ""),
        (b"SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO'", Fate.RUN, "", ""),
        (b"SET @@GLOBAL.GTID_PURGED= ''", Fate.SKIP, "", ""),
        (b"DROP TABLE IF EXISTS `t`", Fate.SKIP, "", ""),
    ],
)
def test_what_the_stock_tools_write_is_known(
    statement: bytes, fate: Fate, kind: str, name: str
) -> None:
    found = judge(statement)
    assert (found.fate, found.kind, found.name) == (fate, kind, name)


@pytest.mark.parametrize(
    "statement",
    [
        b"DROP DATABASE x",
        b"DROP TABLE `t`",
        b"/*!50003 GRANT */ ALL ON *.* TO x",
        b"SET GLOBAL x = 1",
        b"SET @@GLOBAL.max_connections = 1",
        b"SET sql_mode = (SELECT 1)",
        b"INSERT INTO `a`.`t` VALUES (1)",
        b"INSERT INTO `t` SELECT 1",
        b"CREATE TABLE `a`.`t` (x int)",
        b"CREATE VIEW a.v AS SELECT 1",
        b"CREATE USER x",
        b"ALTER TABLE `t` ADD x int",
        b"DO SETVAL(`s`, (SELECT 1), 0)",
        b"SELECT 1",
        b"",
    ],
)
def test_everything_else_is_refused(statement: bytes) -> None:
    with pytest.raises(EvidenceMissing):
        judge(statement)


@pytest.mark.parametrize("name", [b"a.`t`", b"`a`.t", b"a.t", b"`a`.`t`", b"`a` . `t`"])
def test_a_trigger_may_say_which_database_is_its_own(name: bytes) -> None:
    found = judge(b"CREATE DEFINER=`r`@`%` TRIGGER " + name + b" BEFORE INSERT ON x FOR EACH ROW y")
    assert (found.database, found.name) == ("a", "t")


def test_only_references_follow_to_where_tables_are_staged() -> None:
    table = (
        b"CREATE TABLE `t` (a int DEFAULT nextval(`shop`.`s`) COMMENT 'REFERENCES `shop`.`x`',"
        b" `shop` int, CONSTRAINT `c` FOREIGN KEY (a) REFERENCES `shop`.`u` (`a`))"
    )
    found = redirect_table(table, {b"`shop`": b"`new`"})
    assert found == (
        b"CREATE TABLE `t` (a int DEFAULT nextval(`new`.`s`) COMMENT 'REFERENCES `shop`.`x`',"
        b" `shop` int, CONSTRAINT `c` FOREIGN KEY (a) REFERENCES `new`.`u` (`a`))"
    )


def test_long_binary_values_are_shortened_and_nothing_else_is() -> None:
    digits = bytes(range(256)).hex().upper().encode()
    quoted = bytes(range(256)).replace(b"\\", b"\\\\").replace(b"'", b"\\'")
    kept = [
        b"1", b"0x00FF", b"'0x" + digits + b"'", b"'it\\'s 0x" + digits + b"'", b"NULL",
        b"'it''s 0x" + digits + b"'", b"0x" + digits + b"F", b"0x" + digits + b"G",
    ]  # fmt: skip
    rows = b"INSERT INTO `0x" + digits + b"` VALUES (%b)"
    before = rows % b",".join([*kept, b"0x" + digits, b"7"])
    after = rows % b",".join([*kept, b"_binary'" + quoted + b"'", b"7"])
    assert with_binary_values(before) == after
