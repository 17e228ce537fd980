"""Whether a wall clock can be believed, by watching whether it keeps pace with time itself."""

from holdfast.kit.clock import Clock

_STEP_SECONDS = 5.0
_DRIFT = 0.001  # more than any clock that is merely bad runs wrong, or slewing makes of it


class Steadiness:
    """A clock that was set goes on as any other, so what was seen before tells: it is believed
    again when it has kept pace for `settle` seconds. A process that has just begun has seen
    nothing: the clock of a machine that has just booted may be years ahead until it is set right.
    """

    def __init__(self, clock: Clock, settle: float) -> None:
        self._clock = clock
        self._settle = settle
        self._anchor: tuple[int, float] | None = None

    def holds(self) -> bool:
        """To be asked now and then, and before each act that cannot be taken back."""
        now, moment = self._clock.now(), self._clock.boottime()
        if self._anchor is None or not self._kept_pace(self._anchor, now, moment):
            self._anchor = now, moment
        return moment - self._anchor[1] >= self._settle

    def _kept_pace(self, anchor: tuple[int, float], now: int, moment: float) -> bool:
        passed = moment - anchor[1]
        return abs((now - anchor[0]) / 1000 - passed) <= _STEP_SECONDS + _DRIFT * passed
