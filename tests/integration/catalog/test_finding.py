"""Pages of commits hold each commit of the range once, in order, and read bounded parts."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fixtures.in_process_archives import SEGMENT, ArchivedFiles, ArchivedLog, archived_log
from fixtures.in_process_installation import InProcessInstallation
from holdfast.contracts.archive import FILE_SPAN, Change, Commit, FileNames, Log
from holdfast.domain.errors import Conflict, Invalid
from holdfast.kit.processes.guard import Guard
from holdfast.usecases.archiving import finding
from holdfast.usecases.archiving.finding import Search

pytestmark = pytest.mark.sqlite_first

EVERY = 1 << 13


class Engine:
    """A server that commits every so many bytes; what was not stored cannot be read."""

    title = "Engine"
    show_position = ancestry = file_source = last_commit = str

    def __init__(self, instants: dict[int, int]) -> None:
        self.instants = instants
        self.most_read = 0

    def changes(self, version: str, log: Log, names: FileNames, guard: Guard) -> Iterator[Change]:
        ((_, start, end),) = log.legs
        files = sorted(log.directory.iterdir())
        self.most_read = max(self.most_read, sum(len(file.read_bytes()) for file in files))
        for position in sorted(self.instants):
            if start <= position < end:
                commit = Commit(position, self.instants[position], str(position))
                yield Change(commit, [])


@pytest.mark.parametrize(
    ("kind", "most"), [(ArchivedLog, 17), (ArchivedLog, 1000), (ArchivedFiles, 1000)]
)
def test_pages(
    installation: InProcessInstallation,
    new_addon: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
    kind: type[ArchivedLog],
    most: int,
) -> None:
    log = archived_log(installation, new_addon, kind)
    log.back_up()
    instants: dict[int, int] = {}
    for number in range(12):
        begin = log.end
        installation.clock.at += 1000
        for offset in range(0, SEGMENT, EVERY):
            instants[begin + offset] = installation.clock.at - 900 + offset // EVERY
        log.write(parts=4 if number % 3 == 1 and kind is ArchivedLog else 0)
    installation.clock.at += 1000
    log.write()
    monkeypatch.setattr(finding, "PAGE_BYTES", 3 * SEGMENT)
    monkeypatch.setattr(finding, "MAX_CHANGES", most)
    engine: Any = Engine(instants)
    first = min(instants.values()) + 2500
    search = Search(first, first + 6000)
    listed: list[int] = []
    pages = 0
    while True:
        with installation.catalog.read() as session:
            reading = finding.plan(session, log.row(), search)
            session.expunge_all()
        guard = Guard(installation.clock)
        page = finding.read(installation.catalog, log.layout(), engine, reading, search, guard)
        listed += [change.commit.position for change in page.changes]
        pages += 1
        if page.cursor is None:
            break
        line_pk, after = page.cursor.split("-")
        search = Search(search.begin, search.end, None, int(line_pk), int(after))
    blur = 1000 if log.segment == FILE_SPAN else 0
    expected = [p for p, at in instants.items() if first - blur <= at <= first + 6000]
    assert listed == expected
    assert pages >= 3
    assert engine.most_read <= 6 * SEGMENT


def test_what_is_no_page_or_in_no_window(
    installation: InProcessInstallation, new_addon: Callable[[], int]
) -> None:
    log = archived_log(installation, new_addon)
    nothing = pytest.raises(Conflict, match="the first snapshot is not there")
    with installation.catalog.read() as session, nothing:
        finding.plan(session, log.row(), Search(0, 1))
    with pytest.raises(Invalid, match="cursor is not one"):
        finding.parse_search("2026-11-30T14:03:00Z", 60, None, "5")
