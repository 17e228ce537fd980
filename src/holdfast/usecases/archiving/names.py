"""Notes what the numbers in a log mean, beside the log: a table that was dropped since has a name.

One object a line, which only grows. Names of now replace those noted under the same number; those
that are not there any more stay, the oldest of them as long as there is room.
"""

import json
import logging
import threading
from dataclasses import asdict

from holdfast.catalog.archiving import archives
from holdfast.catalog.schema import ArchiveLine
from holdfast.contracts.archive import FileNames, Naming
from holdfast.contracts.engine import Address
from holdfast.domain.errors import Failure
from holdfast.usecases.archiving.layout import Layout
from holdfast.usecases.toolbox import Toolbox

log = logging.getLogger(__name__)

_INTERVALS = 6
"""Names are asked for so rarely, and only when the log has grown."""
_SOON_SECONDS = 1.0
_MAX_NAMES = 200_000


def read_names(layout: Layout, line: ArchiveLine) -> FileNames:
    document = layout.names(line)
    return FileNames(**json.loads(document)) if document else FileNames()


def merged(noted: FileNames, present: FileNames) -> FileNames:
    """Those noted that are not present come first, and go first where there are too many."""
    old = {path: name for path, name in noted.relations.items() if path not in present.relations}
    relations = list({**old, **present.relations}.items())[-_MAX_NAMES:]
    return FileNames({**noted.databases, **present.databases}, dict(relations))


class NameKeeper:
    """Notes the names of one archive's server, in a thread of its own: no query holds up the
    receiver, and one that fails is asked again."""

    def __init__(
        self, tools: Toolbox, archive_pk: int, interval_s: int, layout: Layout, address: Address
    ) -> None:
        self._tools = tools
        self._archive_pk = archive_pk
        self._every = float(_INTERVALS * interval_s)
        self._layout = layout
        self._address = address
        self._asked = -self._every
        self._thread: threading.Thread | None = None
        self._seen: tuple[int, int] | None = None

    def tick(self, engine: Naming) -> None:
        now = self._tools.clock.monotonic()
        is_busy = self._thread is not None and self._thread.is_alive()
        if is_busy or now - self._asked < self._every:
            return
        self._asked = now
        name = f"names-{self._archive_pk}"
        self._thread = threading.Thread(target=self._note, args=[engine], daemon=True, name=name)
        self._thread.start()

    def _note(self, engine: Naming) -> None:
        try:
            with self._tools.catalog.read() as session:
                line = archives.current_line(session, self._archive_pk)
                end = archives.stored_end(session, line.pk) if line else None
                session.expunge_all()
            if line is None or end is None:
                self._asked -= self._every - _SOON_SECONDS  # it has only begun
                return
            if self._seen == (line.pk, end):
                return
            present = engine.names(self._address)
            noted = read_names(self._layout, line)
            names = merged(noted, present)
            if names != noted:
                self._layout.put_names(line, json.dumps(asdict(names)).encode())
            self._seen = line.pk, end
        except Failure as error:
            log.warning("the names of tables were not noted", extra={"why": error.message})
        except Exception:
            log.exception("noting the names of tables failed in an unknown way")
