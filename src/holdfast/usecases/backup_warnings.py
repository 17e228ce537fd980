"""Collects the warnings of a backup: objects that will not restore elsewhere."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter

from holdfast.catalog.schema import Document
from holdfast.contracts.engine import WARNINGS


class _Warning(BaseModel):
    database: str | None
    object: str
    text: str


_WARNINGS = TypeAdapter(list[_Warning])


def gathered(facts: Mapping[str, Any], members: Iterable[Mapping[str, Any]] = ()) -> list[Document]:
    """The warnings in the facts of a backup, then in those of its members, each once.

    Raises pydantic.ValidationError for anything that `contracts.engine.warning` does not make.
    """
    unique: list[Document] = []
    for source in (facts, *members):
        for entry in _WARNINGS.validate_python(source.get(WARNINGS, [])):
            document = entry.model_dump()
            if document not in unique:
                unique.append(document)
    return unique
