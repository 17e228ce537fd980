"""The settings of a local directory store."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    directory: Path = Field(description="Absolute path; created when it is not there.")
    max_object_bytes: int = Field(
        16 << 40, gt=0, description="Largest object, in bytes; 16 TiB is the largest ext4 file."
    )

    mark: str = Field(
        "", description="What its mark file must say; else the store is not there. Empty: anything."
    )

    @field_validator("directory")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        if not value.is_absolute():
            raise ValueError("must be an absolute path")
        return value

    def location(self, key: str) -> str:
        """Returns the object's path."""
        return str(self.directory / key)
