"""The warnings of a backup: what an engine saw at backup time that will not restore elsewhere."""

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
    """Those of the whole backup, then those of its members' facts, each once.

    pydantic.ValidationError when they are not what `contracts.engine.warning` makes.
    """
    unique: list[Document] = []
    for source in (facts, *members):
        for entry in _WARNINGS.validate_python(source.get(WARNINGS, [])):
            document = entry.model_dump()
            if document not in unique:
                unique.append(document)
    return unique
