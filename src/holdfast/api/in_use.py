"""Registers downloads, so that the copies they read are not removed meanwhile."""

import time
from collections.abc import Collection, Iterator

from holdfast.catalog.schema import Copy
from holdfast.catalog.storage import open_downloads
from holdfast.http.state import Api

_EVERY_SECONDS = 60.0


class InUse:
    """Keeps copies from removal until `chunks` ends; rows that are not refreshed expire."""

    def __init__(self, api: Api, copies: Collection[Copy]) -> None:
        self._catalog = api.catalog
        with self._catalog.write() as session:
            self._pks = open_downloads.begin(session, [copy.pk for copy in copies])

    def chunks(self, body: Iterator[bytes]) -> Iterator[bytes]:
        since = time.monotonic()
        try:
            for chunk in body:
                yield chunk
                if time.monotonic() - since > _EVERY_SECONDS:
                    since = time.monotonic()
                    with self._catalog.write() as session:
                        open_downloads.go_on(session, self._pks)
        finally:
            self.end()

    def end(self) -> None:
        with self._catalog.write() as session:
            open_downloads.end(session, self._pks)
