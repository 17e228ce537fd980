"""Conditions on many keys with one parameter, so that the statement's text is always the same.

`IN` has a parameter for each key, and its text is made anew for every execution: a tenth of the
work for a page of a list. SQLite has no arrays, and reads a whole table rather than join a list.
"""

from typing import Any, cast

from sqlalchemy import BigInteger, SQLColumnExpression, bindparam
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class among(FunctionElement[Any]):  # noqa: N801 - reads as an SQL function
    """Whether a column has one of the keys in the parameter `name`, which is a list of integers."""

    # Without a type: one that SQLite lacks, as booleans, is compared with 1.
    inherit_cache = True

    def __init__(self, column: SQLColumnExpression[int], name: str) -> None:
        super().__init__(column, bindparam(name, type_=ARRAY(BigInteger)))


@compiles(among, "postgresql")
def _among_postgresql(element: among, compiler: SQLCompiler, **options: Any) -> str:
    column, keys = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} = ANY ({keys})"


@compiles(among, "sqlite")
def _among_sqlite(element: among, compiler: SQLCompiler, **options: Any) -> str:
    column, keys = cast("Any", element.clauses)
    return compiler.process(column.in_(bindparam(keys.key, expanding=True)), **options)
