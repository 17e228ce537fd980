"""Plain rows: the attributes of an entity without the entity, for a fifth of the work.

A plain row cannot be changed, belongs to no session, and lacks deferred columns. Lists are made of
plain rows; code that changes a row reads the entity.
"""

from collections import namedtuple
from collections.abc import Mapping
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import Select, inspect, select

from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Table

T = TypeVar("T", bound=Table)
_tuples: Any = namedtuple  # its fields are known only at run time


class Plain(Generic[T]):
    """Plain rows of an entity, typed as the entity they look like.

    `rows` selects all of them; conditions and orders name the entity's attributes.
    """

    def __init__(self, entity: type[T]) -> None:
        columns = entity.__table__.c
        shown = [attribute for attribute in inspect(entity).column_attrs if not attribute.deferred]
        named = [columns[attribute.columns[0].name].label(attribute.key) for attribute in shown]
        self.rows = cast("Select[T]", select(*named))
        self._row = _tuples(entity.__name__, [attribute.key for attribute in shown])

    def read(self, session: ReadSession, rows: Select[T], bound: Mapping[str, object]) -> list[T]:
        """`rows` are `self.rows` with conditions; `bound` are the values of their parameters."""
        result = session.connection().execute(rows, dict(bound))
        make = self._row._make  # attributes of a tuple are read ten times as fast as those of a row
        return [make(row) for row in result.all()]


def is_plain(row: object) -> bool:
    """Whether a row is plain, so that equal values mean the same row."""
    return isinstance(row, tuple)
