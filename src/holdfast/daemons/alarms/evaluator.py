"""Notices what is wrong, every few seconds, in every process: whichever of them dies, another one
sees it. The first one to write opens the alarm; the others find it open."""

from collections.abc import Mapping

from holdfast.catalog.alarms import observations
from holdfast.catalog.work import workers
from holdfast.domain.alarms.rules import Kind
from holdfast.kit.clock import Clock
from holdfast.usecases.alarms.evaluation import evaluate
from holdfast.usecases.toolbox import Toolbox

_NAMES = {Kind.WORKERS: "worker", Kind.SCHEDULERS: "scheduler"}


class Evaluator:
    """`patience`: seconds of silence after which a worker or scheduler counts as dead. `evaluated`
    is when it last succeeded, by the monotonic clock."""

    def __init__(self, tools: Toolbox, patience: float) -> None:
        self._tools = tools
        self.evaluated: float | None = None
        self._lives = {kind: _Lives(tools.clock, patience, name) for kind, name in _NAMES.items()}

    def round(self) -> None:
        with self._tools.catalog.read() as session:
            beats = {
                Kind.WORKERS: workers.beats(session),
                Kind.SCHEDULERS: {
                    row.observer: row.beats
                    for row in observations.current(session)
                    if row.name == observations.SCHEDULER
                },
            }
        verdicts = {kind: lives.look(beats[kind]) for kind, lives in self._lives.items()}
        certain = {kind: problem for kind, problem in verdicts.items() if problem != _UNKNOWN}
        evaluate(self._tools.catalog, certain, self._tools.clock.now())
        self.evaluated = self._tools.clock.monotonic()


_UNKNOWN = ""


class _Lives:
    """Whether any process of one role lives: whether beats go on changing, by the watcher's clock.

    A watcher that was asleep or waiting for the catalogue has missed changes, so it starts anew.
    """

    def __init__(self, clock: Clock, patience: float, name: str) -> None:
        self._clock = clock
        self._patience = patience
        self._name = name
        self._last: Mapping[str, int] | None = None
        self._looked = self._changed = clock.monotonic()

    def look(self, beats: Mapping[str, int]) -> str | None:
        """What is wrong; None: one lives, `_UNKNOWN`: that is not known yet."""
        moment, last = self._clock.monotonic(), self._last
        slept = moment - self._looked > self._patience / 2
        self._looked, self._last = moment, beats
        if last is None or slept:
            self._changed = moment
            return _UNKNOWN
        if any(last.get(key) != count for key, count in beats.items()):
            self._changed = moment
            return None
        if moment - self._changed <= self._patience:
            return _UNKNOWN
        last_seen = f"{len(beats)} were there" if beats else "none is there"
        return f"no {self._name} has shown a sign of life for {self._patience:.0f} s; {last_seen}"
