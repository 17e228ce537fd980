"""Gauge: a name, what it says, its labels, and one value for each combination of their values."""

from collections.abc import Iterable
from dataclasses import dataclass, field

Sample = tuple[tuple[str, ...], float]
"""The values of the labels, in their order, and the value."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """What has no value has no sample, so that `absent` is a rule that works. Labels are ids, kinds
    and statuses, of which there are as many as there are; never a reason or an id of a moment."""

    name: str
    text: str
    labels: tuple[str, ...] = ()
    samples: Iterable[Sample] = field(default_factory=tuple[Sample, ...])


def seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000
