"""Builds successful answers: always HTTP 200, always `{"data": ...}`, never a null."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from holdfast.views.shapes.base import Empty, Many, One, Pagination, text_of

MEDIA = "application/json; charset=utf-8"
_ONE, _MANY = One[Any], Many[Any]  # referenced here, else pydantic makes them for each answer


def _respond(body: BaseModel) -> Response:
    return Response(text_of(body), media_type=MEDIA)


def one(data: Any) -> Response:
    return _respond(_ONE(data=data))


def nothing() -> Response:
    return one(Empty())


def many(data: Any, count: int, cursor: str | None) -> Response:
    """Answers with a page; `cursor` is left out exactly when it is the last one."""
    return _respond(_MANY(data=data, pagination=_paging(count, cursor)))


def texts(name: str, items: Sequence[str], cursor: str | None) -> Response:
    """Answers with a page of items that are JSON already, under their name."""
    paging = text_of(_paging(len(items), cursor))
    text = f'{{"data":{{"{name}":[{",".join(items)}]}},"pagination":{paging}}}'
    return Response(text, media_type=MEDIA)


def _paging(count: int, cursor: str | None) -> Pagination:
    return Pagination(has_next_page=cursor is not None, count=count, cursor=cursor)


def rows(items: Sequence[BaseModel], cursor: str | None) -> Response:
    """Answers with a page whose data is a bare array, as the v1 API has it in some routes."""
    return many(list(items), len(items), cursor)
