"""Rows to be shown: the attributes of an entity without the entity, for a fifth of the work.

A plain row cannot be changed, belongs to no session, and lacks what its entity loads only when
asked. Lists are made of them; whoever means to change something reads the entity.
"""

from collections import namedtuple
from collections.abc import Mapping
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import Select, inspect, select

from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Table

T = TypeVar("T", bound=Table)
_tuples: Any = namedtuple  # whose fields are known only when it runs


class Plain(Generic[T]):
    """The plain rows of an entity, typed as what they look like.

    `rows` selects all of them; conditions and orders name the entity's attributes.
    """

    def __init__(self, entity: type[T]) -> None:
        columns = entity.__table__.c
        shown = [each for each in inspect(entity).column_attrs if not each.deferred]
        named = [columns[each.columns[0].name].label(each.key) for each in shown]
        self.rows = cast("Select[T]", select(*named))
        self._row = _tuples(entity.__name__, [each.key for each in shown])

    def read(self, session: ReadSession, rows: Select[T], bound: Mapping[str, object]) -> list[T]:
        """`rows` are `self.rows` with conditions; `bound` are the values of their parameters."""
        found = session.connection().execute(rows, dict(bound))
        make = self._row._make  # attributes of a tuple are read ten times as fast as those of a row
        return [make(row) for row in found.all()]


def is_plain(row: object) -> bool:
    """Its values are all there is to it: equal ones are the same."""
    return isinstance(row, tuple)
