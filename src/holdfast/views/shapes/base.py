"""The base of all answers: the shapes of the v1 API and our extensions to them.

Absent values are left out, never null: the official clients read null as a value.
"""

from typing import Any, Generic, TypeVar, cast

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

T = TypeVar("T")
Document = dict[str, Any]


class Shape(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


def text_of(shape: BaseModel) -> str:
    """Returns the shape's JSON, as it is sent."""
    return shape.model_dump_json(by_alias=True, exclude_none=True)


def without_nulls(value: Any) -> Any:
    """Leaves out absent values, however deep: an engine's facts may have them, answers may not."""
    if isinstance(value, dict):
        items = cast("Document", value).items()
        return {key: without_nulls(inner) for key, inner in items if inner is not None}
    if isinstance(value, list):
        return [without_nulls(inner) for inner in cast("list[Any]", value)]
    return value


class Pagination(Shape):
    has_next_page: bool
    count: int
    cursor: str | None = None


class One(Shape, Generic[T]):
    data: T


class Many(Shape, Generic[T]):
    data: T
    pagination: Pagination


class ErrorBody(Shape):
    status: int
    message: str
    id: str | None = None
    details: Document | None = None


class ErrorEnvelope(Shape):
    error: ErrorBody


class Empty(Shape):
    """An answer without data: the request succeeded."""
