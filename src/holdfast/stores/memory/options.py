"""The settings of a memory store."""

from pydantic import BaseModel, ConfigDict, Field


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    max_object_bytes: int = Field(64 << 20, gt=0, description="Largest object, in bytes.")

    def location(self, key: str) -> str:
        return f"memory:{key}"
