"""Tells whether a wall clock can be trusted, by comparing its pace with the boot clock's."""

from holdfast.kit.clock import Clock

_MAX_STEP_SECONDS = 5.0
_MAX_DRIFT = 0.001  # more than any clock that is merely bad runs wrong, or slewing makes of it


class Steadiness:
    """Trusts a clock when it has kept pace for `settle` seconds.

    A clock that was set goes on as any other, so only earlier readings tell. A new process has
    none: the clock of a machine that has just booted may be years ahead until it is set right.
    """

    def __init__(self, clock: Clock, settle: float) -> None:
        self._clock = clock
        self._settle = settle
        self._anchor: tuple[int, float] | None = None

    def holds(self) -> bool:
        """Whether the clock can be trusted. Call it regularly and before each irreversible act."""
        now, moment = self._clock.now(), self._clock.boottime()
        anchor = self._anchor or (now, moment)
        passed = moment - anchor[1]
        error = abs((now - anchor[0]) / 1000 - passed)
        if self._anchor is None or error > _MAX_STEP_SECONDS + _MAX_DRIFT * passed:
            anchor = self._anchor = now, moment
        return moment - anchor[1] >= self._settle


class Jumps:
    """Notices when a wall clock is set, and remembers it until it has gone steadily for `settle`
    seconds. What happened before the first look is not known."""

    def __init__(self, clock: Clock, settle: float) -> None:
        self._clock = clock
        self._settle = settle
        self._last: tuple[int, float] | None = None
        self._jump: tuple[float, float] | None = None

    def look(self) -> float | None:
        """By how many seconds it jumped last, backwards if negative; None: it is steady."""
        now, moment = self._clock.now(), self._clock.boottime()
        if self._last is not None:
            before, earlier = self._last
            passed = moment - earlier
            step = (now - before) / 1000 - passed
            if abs(step) > _MAX_STEP_SECONDS + _MAX_DRIFT * passed:
                self._jump = moment, step
        self._last = now, moment
        if self._jump is not None and moment - self._jump[0] >= self._settle:
            self._jump = None
        return None if self._jump is None else self._jump[1]
