"""Parses JSON values into models; a value that does not fit is a ServerFault."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from pydantic import ValidationError

from holdfast.client.models.models import Model
from holdfast.client.transport.errors import Answer, ServerFault

M = TypeVar("M", bound=Model)


def parsed(model: type[M], data: object) -> M:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the whole"
        message = f"the server's {model.__name__} is not understood: {field}: {first['msg']}"
        raise ServerFault(Answer(200, message)) from error


def parsed_all(model: type[M], items: Iterable[object]) -> Iterator[M]:
    return (parsed(model, item) for item in items)
