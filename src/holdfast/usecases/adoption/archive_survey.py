"""Surveys the archived log of an addon whose catalogue is lost, from the names of its objects.

The names say which bytes each object holds; the key comes from a snapshot of the addon. What only
the catalogue knew is read from the log: until when a stretch holds everything is the time of the
last commit in it, because what was acknowledged before that lies before it.
"""

import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from pydantic import BaseModel, Field

from holdfast.catalog.schema import ArchiveLine, ArchivePiece
from holdfast.contracts.archive import FILE_SPAN, Commit, Log, Readable
from holdfast.contracts.engine import Engine
from holdfast.contracts.store import ObjectStore
from holdfast.domain.errors import EvidenceMissing
from holdfast.kit.processes.guard import Guard
from holdfast.kit.seal import Secret
from holdfast.pipeline import age
from holdfast.usecases.archiving.finding import require_readable
from holdfast.usecases.archiving.layout import FORMAT, UNKNOWN_CRC, Layout, prefix_of, segment_name
from holdfast.usecases.archiving.pieces import Spans

LOST = "the catalogue was lost"
_ROOT = re.compile(r"([0-9a-f]{24})/root\.json")
_LINE = re.compile(r"([0-9a-f]{24})/([^/]+)/[^/]+")
_MAX_SEGMENTS_READ = 64
"""So many at the end of a stretch are read for the time of its last commit, which lies further back
only where one transaction wrote about a GiB, or the server was long idle but for its upkeep."""


class _Root(BaseModel):
    """`root.json`."""

    format: str
    engine: str
    version: str
    source: str
    segment: int = Field(alias="segmentBytes", gt=0)


@dataclass
class SurveyedLine:
    """A line and its pieces in order, without keys of rows; `parent` is the name of another of the
    same root."""

    line: ArchiveLine
    pieces: list[ArchivePiece]
    parent: str | None = None


@dataclass
class SurveyedArchive:
    """An addon's archive as its stored objects describe it. `prefix` as in `Layout`."""

    project: str
    addon: str
    uid: str
    identity: Secret
    lines: list[SurveyedLine] = field(default_factory=list[SurveyedLine])

    @property
    def prefix(self) -> str:
        return prefix_of(self.project, self.addon, self.uid)


def survey_archive(
    store: ObjectStore,
    surveyed: SurveyedArchive,
    engines: Callable[[str], Engine],
    guard: Guard,
) -> SurveyedArchive:
    """Fills in the lines. EvidenceMissing, SealBroken or ToolMissing if the log cannot be read."""
    names: dict[str, set[str]] = {}
    roots: dict[str, int] = {}
    for stat in store.list(surveyed.prefix):
        rest = stat.key.removeprefix(surveyed.prefix)
        if match := _ROOT.fullmatch(rest):
            roots[match[1]] = stat.modified
        elif match := _LINE.fullmatch(rest):
            names.setdefault(match[1], set()).add(match[2])
    for root, modified in sorted(roots.items(), key=lambda entry: (entry[1], entry[0])):
        body = b"".join(store.get(f"{surveyed.prefix}{root}/root.json"))
        described = _Root.model_validate_json(body)
        if described.format != FORMAT:
            raise EvidenceMissing(f"the archive has the unknown format {described.format!r}")
        engine = require_readable(engines(described.engine))
        recipient = age.recipient_of(surveyed.identity.reveal())
        layout = Layout(
            store, surveyed.prefix, recipient, surveyed.identity, described.engine,
            described.version,
        )  # fmt: skip
        lines = [
            _line(layout, engine, described, root, name, modified, guard)
            for name in sorted(names.get(root, ()))
        ]
        surveyed.lines += connect_lines(layout, engine, root, [one for one in lines if one.pieces])
    # A snapshot of before its root may be of another history. That can only be where two roots have
    # a line of one name and server; elsewhere the later dates of a copied store do no harm.
    identities = [(one.line.source, one.line.name) for one in surveyed.lines]
    for one in surveyed.lines:
        if identities.count((one.line.source, one.line.name)) == 1:
            one.line.since = 0
    return surveyed


def _line(
    layout: Layout,
    engine: Readable,
    described: _Root,
    root: str,
    name: str,
    modified: int,
    guard: Guard,
) -> SurveyedLine:
    line = ArchiveLine(
        root=root, name=name, forked=0, needs=0, source=described.source,
        segment=described.segment, since=modified, until=modified, ended=LOST,
    )  # fmt: skip
    surveyed = SurveyedLine(line, list(_pieces(layout, engine, line)))
    for stretch in stretches_of(surveyed.pieces):
        last = stretch[-1]
        for pieces in islice(segments_from_end(line, stretch), _MAX_SEGMENTS_READ):
            commit = last_commit_in(layout, engine, line, pieces, guard)
            if commit is not None:
                last.clock = line.head_clock = min(commit.instant, last.created)
                line.head = last.end
                break
    if surveyed.pieces:
        line.needs = surveyed.pieces[0].start
        line.until = surveyed.pieces[-1].created
    return surveyed


def _pieces(layout: Layout, engine: Readable, line: ArchiveLine) -> Iterator[ArchivePiece]:
    """Those that their names describe, without parts of segments that are there whole."""
    stats = list(layout.objects(line))
    spans = {stat.key: span for stat in stats if (span := layout.span_of(line, stat.key))}
    segments = Spans((start, end) for start, end, is_whole in spans.values() if is_whole)
    for stat in sorted(stats, key=lambda stat: spans.get(stat.key, (0, 0, False))):
        if stat.key not in spans:
            continue
        start, end, is_whole = spans[stat.key]
        if not is_whole and segments.hold(start, end):
            continue
        piece = ArchivePiece(
            start=start, end=end, whole=is_whole, stored=stat.size, sha256="", crc=UNKNOWN_CRC,
            first=0, last=stat.modified, created=stat.modified,
        )  # fmt: skip
        if line.segment == FILE_SPAN and (start % FILE_SPAN == 0 or end % FILE_SPAN == 0):
            # Only its content tells how long a file's last piece is, and which file begins here.
            plain = layout.open_any(b"".join(layout.store.get(stat.key)))
            piece.plain = len(plain)
            piece.source = engine.file_source(plain) if start % FILE_SPAN == 0 else None
        yield piece


def stretches_of(pieces: Sequence[ArchivePiece]) -> Iterator[list[ArchivePiece]]:
    stretch: list[ArchivePiece] = []
    end = 0
    for piece in pieces:
        if stretch and piece.start > end:
            yield stretch
            stretch = []
        end = max(end, piece.end) if stretch else piece.end
        stretch.append(piece)
    if stretch:
        yield stretch


def segments_from_end(
    line: ArchiveLine, stretch: Sequence[ArchivePiece]
) -> Iterator[list[ArchivePiece]]:
    """What is read together, the last first: the pieces of a segment, because records are cut
    between them; of a file, which is cut between events, one piece and the one that it begins with.
    Those whose segment does not begin in the stretch cannot be read."""
    segments: dict[int, list[ArchivePiece]] = {}
    for piece in stretch:
        segments.setdefault(piece.start // line.segment, []).append(piece)
    for number, pieces in reversed(segments.items()):
        if pieces[0].start != number * line.segment:
            return
        if line.segment != FILE_SPAN:
            yield pieces
            continue
        for piece in reversed(pieces):
            yield [pieces[0], piece] if piece is not pieces[0] else [piece]


def last_commit_in(
    layout: Layout,
    engine: Readable,
    line: ArchiveLine,
    pieces: Sequence[ArchivePiece],
    guard: Guard,
) -> Commit | None:
    with tempfile.TemporaryDirectory(prefix="holdfast-") as directory:
        path = Path(directory) / segment_name(line.name, pieces[0].start, line.segment)
        with path.open("w+b") as file:
            for piece in pieces:
                plain = layout.open_any(b"".join(layout.store.get(layout.key_of(line, piece))))
                file.seek(piece.start % line.segment)
                file.write(plain)
            if line.segment != FILE_SPAN:
                file.truncate(line.segment)
        last = pieces[-1]
        start = last.start if line.segment == FILE_SPAN else pieces[0].start
        end = last.end
        if last.plain is not None and end % FILE_SPAN == 0:
            end = last.start + last.plain
        log = Log(Path(directory), [(line.name, start, end)], line.segment)
        return engine.last_commit(layout.version, log, guard)


def connect_lines(
    layout: Layout, engine: Readable, root: str, lines: Sequence[SurveyedLine]
) -> list[SurveyedLine]:
    """Parents before their children, as the history files have it. When a child began to serve
    nothing tells, so its moments begin with a snapshot of its own."""
    by_name = {surveyed.line.name: surveyed for surveyed in lines}
    for name, sealed in layout.histories(root):
        child = by_name.get(name.removesuffix(".history"))
        if child is None:
            continue
        history = age.unseal_plain(sealed, layout.identity.reveal())
        ancestors = [entry for entry in engine.ancestry(history) if entry[0] in by_name]
        if ancestors:
            child.parent, child.line.forked = ancestors[-1]
            child.line.needs = child.line.forked - child.line.forked % child.line.segment
    return sorted(lines, key=lambda surveyed: (surveyed.line.forked, surveyed.line.name))
