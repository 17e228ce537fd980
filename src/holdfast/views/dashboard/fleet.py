"""What the dashboard's first page shows of all addons: verdicts, work under way, and what is next.

Read through rows that are kept anyway; nothing counts backups. Instants in ms since 1970.
"""

import threading
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from holdfast.catalog import addons, projects, protected_rows
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Operation
from holdfast.catalog.work import operation_queries
from holdfast.domain.access import Caller
from holdfast.domain.operation import RESTORING, TAKING, Kind, Status
from holdfast.domain.protection import ORDER, Protection, State
from holdfast.kit.clock import Clock
from holdfast.views.protection.wall import judged

_SHOWN = (*TAKING, *RESTORING, Kind.REPLICATE, Kind.REPAIR, Kind.DRILL)
"""Work that people wait for, or look for; the rest is housekeeping."""
_UNDER_WAY = 200
_FRESH_SECONDS = 1.0
_ALL = Caller("", "", "", frozenset(), None)
"""Sees every project; does nothing else."""
_KIND_WORDS = {
    Kind.BACKUP: "dump",
    Kind.RESTORE_IN_PLACE: "restore in place",
    Kind.RECOVER: "recovery to a point in time",
    Kind.RESTORE_OPEN_FILE: "restore in place",
    Kind.REPLICATE: "copy",
    Kind.UNDO: "putting old data back",
}


@dataclass(frozen=True, slots=True)
class Work:
    """One operation that runs or waits; `step` is the last one that it finished."""

    id: str
    kind: Kind
    status: Status
    project_id: str
    addon_id: str
    addon_name: str
    started: int | None
    bytes: int
    expected: int | None
    step: str | None

    @property
    def kind_word(self) -> str:
        """What it is, for people."""
        return _KIND_WORDS.get(self.kind, str(self.kind))

    @property
    def percent(self) -> int | None:
        """None while nothing is known of how much there is to do."""
        if not self.expected or self.status is Status.SCHEDULED:
            return None
        return min(100 * self.bytes // self.expected, 99)

    def rate(self, now: int) -> float | None:
        """Bytes a second since it began."""
        if self.started is None or not self.bytes or now - self.started < 1000:
            return None
        return self.bytes * 1000 / (now - self.started)

    def left_ms(self, now: int) -> int | None:
        """How long the bytes that are missing take at that rate."""
        rate = self.rate(now)
        if rate is None or not self.expected or self.bytes >= self.expected:
            return None
        return round((self.expected - self.bytes) / rate * 1000)


@dataclass(frozen=True, slots=True)
class Tile:
    """One addon and its verdict. `last_good`: its newest recovery point, in ms since 1970."""

    pk: int
    id: str
    name: str
    kind: str
    version: str
    project_id: str
    verdict: Protection
    last_good: int | None
    next_due: int | None
    proven: int | None
    proof_ms: int | None
    bytes: int
    tags: Sequence[str]

    @property
    def state(self) -> State:
        return self.verdict.state

    @property
    def has_trouble(self) -> bool:
        return self.state in (State.UNPROTECTED, State.NO_PLAN, State.AT_RISK)


@dataclass(frozen=True)
class Fleet:
    """All addons that a caller sees, the worst first; `work` by key of the addon."""

    tiles: Sequence[Tile]
    counts: Mapping[State, int]
    project_names: Mapping[str, str]
    work: Sequence[Work]
    ended: Mapping[tuple[Kind, Status], int]
    busy: Mapping[tuple[str, str], Work] = field(default_factory=dict[tuple[str, str], Work])


class Tiles:
    """The tiles of all addons, kept for a second: with 2,000 addons judging them takes 80 ms, and
    when something happens every open page asks at once. What a caller may see is chosen after."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tiles: Sequence[Tile] = ()
        self._edition: int | None = None
        self._until: float | None = None

    def of(self, session: ReadSession, caller: Caller, edition: int | None) -> Sequence[Tile]:
        """The worst first. `edition` is the catalogue's, looked up before the session was opened:
        another one is read anew, however young the tiles are; None: it is not known."""
        with self._lock:
            began = self._clock.monotonic()
            if self._until is None or began >= self._until or edition != self._edition:
                tiles = (
                    Tile(
                        pk=row.addon_pk,
                        id=row.id,
                        name=row.name,
                        kind=row.kind,
                        version=row.version,
                        project_id=project_id,
                        verdict=verdict,
                        last_good=row.facts.last_recoverable,
                        next_due=row.facts.next_due,
                        proven=row.facts.proven,
                        proof_ms=row.facts.proof_ms,
                        bytes=row.bytes,
                        tags=row.tags,
                    )
                    for row, verdict, project_id in judged(session, _ALL, self._clock.now(), None)
                )
                self._tiles = sorted(
                    tiles, key=lambda tile: (ORDER[tile.state], tile.project_id, tile.id)
                )
                self._edition = edition
                self._until = began + _FRESH_SECONDS
            tiles = self._tiles
        if caller.projects is None:
            return tiles
        return [tile for tile in tiles if caller.sees(tile.project_id)]


def fleet(session: ReadSession, caller: Caller, tiles: Sequence[Tile], since: int) -> Fleet:
    """Everything at once, of the tiles that the caller sees. `since`: what ended from then on is
    counted."""
    visible = {
        pk: project_id
        for pk, project_id in projects.living_ids(session).items()
        if caller.sees(project_id)
    }
    project_pks = None if caller.projects is None else list(visible)
    rows = operation_queries.under_way(session, _SHOWN, project_pks, _UNDER_WAY)
    work = _work(session, rows, visible)
    return Fleet(
        tiles=tiles,
        counts=Counter(tile.state for tile in tiles),
        project_names=projects.names_of(session, list(visible)),
        work=work,
        ended=operation_queries.ended_since(session, _SHOWN, project_pks, since),
        busy={
            (job.project_id, job.addon_id): job
            for job in reversed(work)
            if job.status is not Status.SCHEDULED
        },
    )


def bars(session: ReadSession, tiles: Sequence[Tile]) -> dict[int, str]:
    """The days of some addons as JSON, by their key: most were drawn before, and are not read."""
    return protected_rows.day_texts(session, [tile.pk for tile in tiles])


def by_project(tiles: Sequence[Tile]) -> dict[str, list[Tile]]:
    """Tiles by their project's id: first those of projects with trouble, the worst first."""
    groups: dict[str, list[Tile]] = defaultdict(list)
    for tile in tiles:
        groups[tile.project_id].append(tile)
    worst = {project: min(ORDER[tile.state] for tile in group) for project, group in groups.items()}
    return {project: groups[project] for project in sorted(groups, key=lambda p: (worst[p], p))}


def _work(
    session: ReadSession, rows: Sequence[Operation], visible: Mapping[int, str]
) -> list[Work]:
    owners = addons.by_pk(session, {row.addon_pk for row in rows})
    return [
        Work(
            id=row.id,
            kind=Kind(row.kind),
            status=Status(row.status),
            project_id=visible[owner.project_pk],
            addon_id=owner.id,
            addon_name=owner.name,
            started=row.started,
            bytes=int((row.progress or {}).get("bytes") or 0),
            expected=(row.progress or {}).get("expected"),
            step=row.step,
        )
        for row in rows
        for owner in [owners[row.addon_pk]]
        if owner.project_pk in visible
    ]
