"""Beats outwards: pings a healthchecks-style URL, so that our own death is noticed elsewhere.

`URL/start` when a process starts, `URL` while it is in order, `URL/fail` with a sentence while it
is not; or the exit statuses that mean the same. What cannot be reached is a line in the log: that
the pings stay away is the message.
"""

import logging
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from holdfast.catalog.alarms import channels
from holdfast.catalog.database.session import Catalog, CatalogAway
from holdfast.domain.alarms.messages import Signals
from holdfast.domain.errors import Failure
from holdfast.kit.clock import Clock
from holdfast.kit.seal import Secret

log = logging.getLogger(__name__)

STALE_SECONDS = 120.0
"""Without an evaluation for so long, alarms are not to be relied on."""

Post = Callable[[str, bytes, Mapping[str, str]], object]
"""Posts a body to a URL. Raises Temporary or Permanent."""


_STATUSES = {"": "0", "fail": "10", "failed-start": "1"}
"""Exit statuses of `holdfast`: of `ready` while it is in order and while it is not, and of a
process that could not start."""


def ping(
    post: Post, url: Secret, signal: str, text: str = "", signals: Signals = Signals.WORDS
) -> None:
    """`signal` is start, fail, failed-start, an exit status, or empty: in order."""
    parts = urlsplit(url.reveal())
    if signals is Signals.EXIT_STATUS:
        signal = _STATUSES.get(signal, signal)
    elif signal == "failed-start":
        signal = "fail"
    path = "/".join(filter(None, (parts.path.rstrip("/"), signal)))
    address = parts._replace(path=path).geturl()
    try:
        post(address, text.encode(), {"Content-Type": "text/plain; charset=utf-8"})
    except Failure as failure:
        extra = {"host": parts.hostname, "problem": failure.message}
        log.warning("a heartbeat could not be sent", extra=extra)


class Heart:
    """`evaluated` says when, by the monotonic clock, alarms were last compared; None: never."""

    def __init__(
        self,
        catalog: Catalog,
        clock: Clock,
        evaluated: Callable[[], float | None],
        beat: Callable[[str, str], None],
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._evaluated = evaluated
        self._beat = beat
        self._began: float | None = None

    def round(self) -> None:
        if self._began is None:
            self._began = self._clock.monotonic()
            self._beat("start", "")
        problem = self.find_problem(self._began)
        if problem is None:
            self._beat("", "")
        else:
            self._beat("fail", problem)

    def find_problem(self, began: float) -> str | None:
        """Why this installation cannot be relied on to complain; None: it can."""
        try:
            with self._catalog.read() as session:
                rows = channels.of_alarms(session)
        except CatalogAway:
            return "the catalogue does not answer"
        silent = self._clock.monotonic() - (self._evaluated() or began)
        if silent > STALE_SECONDS:
            return f"alarms have not been evaluated for {silent:.0f} s"
        if rows and all(channels.is_failing(row) for row in rows):
            return f"no channel delivers: {', '.join(row.id for row in rows)}"
        return None
