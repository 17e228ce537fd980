"""Signed reports: what they are about, what they say of themselves, and how they are stored."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import zstandard

from holdfast.catalog import projects
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.proof import reports
from holdfast.catalog.proof.evidence import Scope
from holdfast.catalog.schema import Report, ReportPart
from holdfast.domain.access import Caller
from holdfast.domain.errors import Invalid
from holdfast.domain.proof.reports import Link, Position, problems
from holdfast.domain.units import DAY_MS
from holdfast.kit.clock import parse_rfc3339, rfc3339
from holdfast.usecases.context import Context
from holdfast.usecases.forms.proof import ReportForm
from holdfast.usecases.proof.documents import Document
from holdfast.usecases.proof.draft import Signed

_PART_BYTES = 4 << 20
JSON, HTML = "json", "html"


class Outrun(Exception):
    """Another report was stored first: this one has to be finished again, with the next number."""


@dataclass(frozen=True)
class Order:
    """What a report is about, and who asked for it at `now`, in ms since 1970. `project_id` is that
    of the scope. `limits`: what the report cannot show, in sentences."""

    scope: Scope
    project_id: str | None
    caller: Caller
    now: int
    limits: Sequence[str]

    def origin(self) -> Document:
        """What the report says of this."""
        caller = self.caller
        return {
            "scope": {"project": self.project_id},
            "period": {"from": rfc3339(self.scope.since), "to": rfc3339(self.scope.until)},
            "madeAt": rfc3339(self.now),
            "madeBy": {"tokenId": caller.token_id, "name": caller.name, "role": caller.role},
            "limits": list(self.limits),
        }


def scope_of(session: ReadSession, caller: Caller, form: ReportForm, now: int) -> Scope:
    """What the form asks for. Raises Invalid, naming the fields."""
    since = parse_rfc3339(form.since)
    until = now if form.until is None else parse_rfc3339(form.until)
    by_field = problems(since, until, now)
    project_pk = None
    if form.project_id is not None:
        visible = caller.sees(form.project_id)
        project = projects.find(session, form.project_id) if visible else None
        if project is None:
            by_field["projectId"] = (
                f"there is no project {form.project_id!r}; `holdfast project list` shows those"
                " there are, and without it the report is about all of them"
            )
        else:
            project_pk = project.pk
    if by_field:
        sentence = "; ".join(f"{name} {problem}" for name, problem in by_field.items())
        raise Invalid(f"there can be no such report: {sentence}", by_field)
    return Scope(since, until, project_pk)


def position(session: ReadSession, project_id: str | None) -> Position:
    """The place of the next report about a project; None: about all of them."""
    newest, of_scope = reports.newest(session), reports.newest_of(session, project_id)
    number = 1 if newest is None else newest.number + 1
    return Position(number, _link(newest), _link(of_scope))


def _link(report: Report | None) -> Link | None:
    return None if report is None else Link(report.number, report.sha256)


def limits(scope: Scope, now: int, history_ms: int) -> Sequence[str]:
    """What this report cannot show, in sentences. `history_ms`: how long records outlive the
    backups that they are about."""
    if scope.since >= now - history_ms:
        return []
    return [
        f"the period begins before {rfc3339(now - history_ms)[:10]}: records of backups that were"
        f" deleted, of restores and of drills are kept for {history_ms // DAY_MS} days, and older"
        " ones may be missing here"
    ]


def store(context: Context, result: Signed, order: Order) -> Report:
    """Stores a report in its own. Raises Outrun when another one took it meanwhile.

    Callers take turns, so that of two reports only one follows the one before.
    """
    own = result.position
    if position(context.session, order.project_id) != own:
        raise Outrun
    report = Report(
        number=own.number,
        project=order.project_id,
        since=order.scope.since,
        until=order.scope.until,
        made=order.now,
        token=order.caller.token_id,
        actor=order.caller.name,
        role=order.caller.role,
        sha256=result.sha256,
        html_sha256=result.html_sha256,
        size=result.size,
        html_size=result.html_size,
        previous=None if own.previous is None else own.previous.sha256,
        scope_before=None if own.scope_previous is None else own.scope_previous.number,
        key_sha256=result.key_sha256,
        signature=base64.b64encode(result.signature).decode(),
    )
    reports.add(context.session, report, _parts(result))
    return report


def _parts(result: Signed) -> Iterator[ReportPart]:
    compressor = zstandard.ZstdCompressor(level=3)
    files: tuple[tuple[str, IO[bytes]], ...] = ((JSON, result.json), (HTML, result.html))
    for name, file in files:
        file.seek(0)
        position_in_file = 0
        while chunk := file.read(_PART_BYTES):
            body = compressor.compress(chunk)
            yield ReportPart(file=name, position=position_in_file, body=body)
            position_in_file += 1


def plain(part: bytes) -> bytes:
    """A part of a file as it was before it was stored."""
    return zstandard.ZstdDecompressor().decompress(part, max_output_size=_PART_BYTES)
