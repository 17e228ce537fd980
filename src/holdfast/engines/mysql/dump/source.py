"""The bytes of a dump's members, each proven whole at its end."""

import threading
from collections.abc import Mapping
from contextlib import ExitStack

from holdfast.contracts.engine import WARNINGS, warning
from holdfast.domain.errors import EvidenceMissing, Failure
from holdfast.engines.mysql.client import object_names
from holdfast.engines.mysql.client.connection import Session, WireError
from holdfast.engines.mysql.client.server_errors import statement_failure
from holdfast.engines.mysql.dump import archive
from holdfast.engines.mysql.dump.inventory import Count, count
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.process import Child, require_success
from holdfast.kit.read_ahead import ReadAhead

_MAX_WARNINGS = 20


class TextSource:
    """A member whose text is in memory."""

    def __init__(self, text: bytes) -> None:
        self._rest = text
        self._bytes = len(text)

    def read(self, size: int) -> bytes:
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def finish(self) -> Mapping[str, object]:
        """Names our own session as the process, because no child wrote this member."""
        return {"processes": [{"program": "SHOW GRANTS", "exitStatus": 0}], "bytes": self._bytes}

    def close(self) -> None:
        self._rest = b""


class BackgroundCount:
    """Counts all databases in a thread, in a transaction that has begun."""

    def __init__(self, session: Session, databases: Mapping[str, str], *, history: bool) -> None:
        """`databases` maps names on the server to those under which counts are recorded."""
        self._session = session
        self._databases = databases
        self._history = history
        self._failure: Failure | None = None
        self._counts: dict[str, Count] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for database, recorded in self._databases.items():
                self._counts[recorded] = count(
                    self._session, database, recorded, history=self._history
                )
        except (WireError, OSError) as error:
            self._failure = statement_failure(error)

    def result(self) -> dict[str, Count]:
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        return self._counts

    def stop(self) -> None:
        self._session.cut()
        self._thread.join(10)


class ScriptSource:
    """The output of the stock tool and `last`, scanned while it passes; `resources` are closed with
    it."""

    def __init__(
        self,
        child: Child,
        first: bytes,
        last: bytes,
        counter: BackgroundCount,
        guard: Guard,
        resources: ExitStack,
    ) -> None:
        self._child = child
        self._output = ReadAhead(child.stdout.read)
        self._first, self._last = first, last
        self._counter = counter
        self._guard = guard
        self._resources = resources
        self._scan = archive.Scan()
        self._counts: dict[str, Count] | None = None

    @property
    def pid(self) -> int:
        return self._child.pid

    def read(self, size: int) -> bytes:
        if self._first:
            data, self._first = self._first[:size], self._first[size:]
        else:
            data = self._output.read(size)
            if not data:
                data, self._last = self._last[:size], self._last[size:]
        self._scan.feed(data)
        return data

    def finish(self) -> Mapping[str, object]:
        finished = self._child.wait()
        self._guard.check()
        require_success(finished)
        problem = self._scan.problem()
        if problem is not None:
            raise EvidenceMissing(f"the dump is not whole: {problem}")
        counts = self._counter.result()
        self._guard.check()
        counted = {(t.database, t.name) for count in counts.values() for t in count.tables}
        scanned = {
            (object_names.plain_name(database), table) for database, table in self._scan.tables
        }
        missing = [f"{database}.{table}" for database, table in sorted(counted - scanned)]
        if missing:
            raise EvidenceMissing(f"tables are not in the dump: {', '.join(missing[:5])}")
        self._counts = counts
        return {
            "processes": [finished.fact()],
            "bytes": self._scan.bytes,
            WARNINGS: [
                warning(None, finished.program, line)
                for line in finished.stderr.splitlines()[:_MAX_WARNINGS]
                if line
            ],
            "tables": len(counted),
            "rows": sum(t.rows for count in counts.values() for t in count.tables),
        }

    def counted(self) -> dict[str, Count]:
        if self._counts is None:
            raise EvidenceMissing("the databases were not dumped to their end")
        return self._counts

    def close(self) -> None:
        self._counter.stop()
        self._child.kill()
        self._output.close()
        self._resources.close()
