"""Runs stages in a row: each gets the output of the one before."""

from collections.abc import Mapping, Sequence

from holdfast.contracts.stage import Stage


class Chain:
    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = stages

    def feed(self, data: bytes | memoryview) -> bytes | memoryview:
        for stage in self._stages:
            if not data:
                break
            data = stage.feed(data)
        return data

    def finish(self) -> bytes:
        """Finishes the stages in order: what one still buffers passes through those after it."""
        rest = b""
        for stage in self._stages:
            fed = bytes(stage.feed(rest)) if rest else b""
            rest = fed + bytes(stage.finish())
        return rest

    def facts(self) -> list[Mapping[str, object]]:
        """One per stage, in order."""
        return [stage.fact() for stage in self._stages]
