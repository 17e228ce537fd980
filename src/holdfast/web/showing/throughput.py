"""How fast running operations move bytes: samples of each, and the curve that pages draw."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from holdfast.web.showing.charts import Scale

MAX_SAMPLES = 240
"""Of one operation; then every other one is dropped, so that they reach back to its beginning."""
MAX_OPERATIONS = 500
_HEIGHT = 64
_TABLE_ROWS = 12


class Sample(NamedTuple):
    """Bytes that had been moved at an instant, in ms since 1970."""

    at: int
    bytes: int


class Reading(NamedTuple):
    """The rate of a stretch of time, in bytes a second."""

    start: int
    end: int
    rate: float


@dataclass
class Samples:
    """What was seen of each operation under way; those that have ended are forgotten."""

    _by_operation: dict[str, list[Sample]] = field(default_factory=dict[str, list[Sample]])

    def note(self, now: int, bytes_of: Iterable[tuple[str, int]]) -> None:
        """Adds one sample of each operation that is under way."""
        present = dict(list(bytes_of)[:MAX_OPERATIONS])
        for op in self._by_operation.keys() - present.keys():
            del self._by_operation[op]
        for op, count in present.items():
            samples = self._by_operation.setdefault(op, [])
            if samples and now <= samples[-1].at:
                continue
            samples.append(Sample(now, count))
            if len(samples) > MAX_SAMPLES:
                del samples[1:-1:2]

    def of(self, op: str) -> Sequence[Sample]:
        return tuple(self._by_operation.get(op, ()))


@dataclass(frozen=True)
class Throughput:
    """A curve of readings, the oldest first; there is at least one."""

    readings: Sequence[Reading]
    scale: Scale

    @property
    def latest(self) -> float:
        return self.readings[-1].rate

    @property
    def highest(self) -> float:
        return max(reading.rate for reading in self.readings)

    @property
    def mean(self) -> float:
        weighted = sum(reading.rate * (reading.end - reading.start) for reading in self.readings)
        return weighted / max(self.length_ms, 1)

    @property
    def length_ms(self) -> int:
        return self.readings[-1].end - self.readings[0].start

    def path(self) -> str:
        """A band of steps, each as wide as its stretch of time."""
        start, length = self.readings[0].start, max(self.length_ms, 1)
        points = [
            f"{600 * (at - start) / length:.1f} {self.scale.y(reading.rate)}"
            for reading in self.readings
            for at in (reading.start, reading.end)
        ]
        return f"M0 {_HEIGHT}L{'L'.join(points)}L600 {_HEIGHT}z"

    def rows(self) -> Sequence[Reading]:
        """A few readings for a table, neighbours summed up."""
        size = -(-len(self.readings) // _TABLE_ROWS)
        groups = [self.readings[at : at + size] for at in range(0, len(self.readings), size)]
        return [
            Reading(group[0].start, group[-1].end, Throughput(group, self.scale).mean)
            for group in groups
        ]


def throughput(
    started: int | None, samples: Sequence[Sample], current: Sample
) -> Throughput | None:
    """The curve of one operation; before the first sample it moved evenly. None: too early."""
    begun = [] if started is None else [Sample(started, 0)]
    points = [
        *begun,
        *(sample for sample in samples if started is None or sample.at > started),
        current,
    ]
    readings: list[Reading] = []
    before = points[0]
    for point in points[1:]:
        if point.at - before.at < _SHORTEST_MS:
            continue
        moved = max(point.bytes - before.bytes, 0)  # a step that is repeated counts from zero
        readings.append(Reading(before.at, point.at, moved * 1000 / (point.at - before.at)))
        before = point
    if not readings:
        return None
    return Throughput(readings, Scale.over([reading.rate for reading in readings], _HEIGHT))


_SHORTEST_MS = 500
"""Rates of shorter stretches jump with the moment at which they were looked at."""
