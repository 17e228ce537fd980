"""The base class of all tables and the types of their columns."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Integer, Text
from sqlalchemy.orm import DeclarativeBase

BigKey = BigInteger().with_variant(Integer, "sqlite")  # SQLite's rowid needs INTEGER
Document = dict[str, Any]


class Table(DeclarativeBase):
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own protocol
        int: BigInteger,
        str: Text,
        Document: JSON(none_as_null=True),
        list[str]: JSON(none_as_null=True),
        list[int]: JSON(none_as_null=True),
        list[list[int]]: JSON(none_as_null=True),
        list[Document]: JSON(none_as_null=True),
    }
