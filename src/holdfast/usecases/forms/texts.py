"""Types of text fields, with patterns that are checked and shown in the API document."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_after_validator_function

from holdfast.domain import naming


@dataclass(frozen=True)
class Matching:
    """A pattern that the whole text must match, shown in the API document."""

    pattern: str
    example: str

    def _check(self, text: str) -> str:
        if re.fullmatch(self.pattern, text) is None:
            raise ValueError(f"must match {self.pattern} as a whole, for example {self.example!r}")
        return text

    def __get_pydantic_core_schema__(self, of: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_after_validator_function(self._check, handler(of))

    def __get_pydantic_json_schema__(
        self, of: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        described = {"pattern": f"^({self.pattern})$", "examples": [self.example]}
        return {**handler(of), **described}


Name = Annotated[str, Field(min_length=3, max_length=39), Matching(naming.NAME, "Example Name")]
BackupName = Annotated[
    str,
    Field(min_length=3, max_length=39),
    Matching(naming.BACKUP_NAME, "Before the upgrade"),
]
DestinationName = Annotated[
    str, Field(min_length=3, max_length=100), Matching(naming.DESTINATION_NAME, "Offsite one")
]
DestinationId = Annotated[
    str, Field(min_length=3, max_length=100), Matching(naming.DESTINATION_ID, "offsite-one")
]
Description = Annotated[
    str, Field(max_length=200), Matching(f"({naming.DESCRIPTION})?", "What this is for")
]
Color = Annotated[str, Matching(naming.COLOR, "#57a1a9")]
Hex24 = Annotated[str, Matching(naming.HEX24, "0123456789abcdef01234567")]
