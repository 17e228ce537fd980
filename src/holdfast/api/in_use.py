"""Downloads hold on to what they read: nothing of it is removed while they go on."""

import time
from collections.abc import Collection, Iterator

from holdfast.api.state import Api
from holdfast.catalog import readings
from holdfast.catalog.schema import Copy

_EVERY_SECONDS = 60.0


class InUse:
    """From its making on; the rows go with the end of `chunks`, or when nobody moves them on."""

    def __init__(self, api: Api, copies: Collection[Copy]) -> None:
        self._catalog = api.catalog
        with self._catalog.write() as session:
            self._pks = readings.begin(session, [copy.pk for copy in copies])

    def chunks(self, body: Iterator[bytes]) -> Iterator[bytes]:
        since = time.monotonic()
        try:
            for chunk in body:
                yield chunk
                if time.monotonic() - since > _EVERY_SECONDS:
                    since = time.monotonic()
                    with self._catalog.write() as session:
                        readings.go_on(session, self._pks)
        finally:
            self.end()

    def end(self) -> None:
        with self._catalog.write() as session:
            readings.end(session, self._pks)
