"""Scripts that say something else than a plain reader would think."""

import pytest

from holdfast.engines.mysql.dump.script import statements, with_mended_keys, with_row_format

KEY = (
    b"  CONSTRAINT `k%sk` FOREIGN KEY (`q%sr`, `s`) REFERENCES `d`.`p``x` (`a%sb`, `c`)"
    b" ON DELETE CASCADE,"
)


@pytest.mark.parametrize("shown", [b"`", b"``"])
def test_names_in_foreign_keys_have_their_backticks_doubled_once(shown: bytes) -> None:
    lines = b"CREATE TABLE `t` (\n" + KEY % (shown, shown, shown) + b"\n  KEY `x` (`y`)"
    assert with_mended_keys(lines) == lines.replace(
        KEY % (shown, shown, shown), KEY % (b"``", b"``", b"``")
    )
    script = lines + b"\n) ENGINE=InnoDB;\nCREATE TABLE `u` (\n  `a` int\n);\n"
    assert len(list(statements(iter([script[:40], script[40:]])))) == 2


def test_a_backslash_is_what_the_mode_says() -> None:
    script = (
        rb"/*!50003 SET sql_mode = 'NO_BACKSLASH_ESCAPES' */ ;" b"\nDELIMITER ;;\n"
        rb"CREATE PROCEDURE p() SELECT 'a\', ';' ;;" b"\nDELIMITER ;\n"
        rb"/*!50003 SET sql_mode = @saved_sql_mode */ ;" b"\n"
        rb"CREATE VIEW v AS SELECT 'it\'s; one';" b"\n"
    )  # fmt: skip
    found = list(statements(iter([script])))
    assert found[1] == rb"CREATE PROCEDURE p() SELECT 'a\', ';'"
    assert found[3] == rb"CREATE VIEW v AS SELECT 'it\'s; one'"


def test_a_row_format_is_only_said_where_none_is() -> None:
    plain = b"CREATE TABLE `t` (`a` int COMMENT 'ENGINE=InnoDB') ENGINE=InnoDB"
    assert with_row_format(plain) == plain + b" ROW_FORMAT=DYNAMIC"
    said = plain + b" ROW_FORMAT=COMPACT"
    assert with_row_format(said) == said
    assert with_row_format(plain.replace(b") ENGINE=InnoDB", b") ENGINE=Aria")).endswith(b"Aria")
