"""Makes the two files of a report, in temporary files: memory does not grow with the report.

What is long is written first, once. A report's number and the report before it are known only when
it is stored, and they stand at the beginning: so a draft can be finished again, with another
number, when another report was faster.
"""

import hashlib
import json
import shutil
import tempfile
from collections import deque
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import IO, Any

from holdfast.catalog import objectives, protected_rows
from holdfast.catalog.database.deadlines import hurried
from holdfast.catalog.database.session import ReadSession, see_one_state
from holdfast.catalog.proof import evidence
from holdfast.catalog.proof.evidence import Scope
from holdfast.domain.proof.reports import FORMAT, Link, Position
from holdfast.domain.protection import judge
from holdfast.kit.sign import PrivateKey
from holdfast.usecases.proof import documents, page
from holdfast.usecases.proof.documents import Document, Judged, Names
from holdfast.usecases.proof.summary import Summary

_CHUNK_BYTES = 1 << 20


@dataclass
class Draft:
    """What is long of a report, and the counts of its first page.

    `json` has the documents of addons and of changes, `html` the sections of the page. Both are
    files without a name, which end with the process.
    """

    summary: Summary
    json: IO[bytes]
    html: IO[bytes]
    directory: Path

    def close(self) -> None:
        self.json.close()
        self.html.close()


@dataclass
class Signed:
    """The finished files, their hex sha256 and sizes in bytes, and the signature of the JSON by the
    key of that fingerprint."""

    position: Position
    key_sha256: str
    json: IO[bytes]
    html: IO[bytes]
    sha256: str
    html_sha256: str
    size: int
    html_size: int
    signature: bytes

    def close(self) -> None:
        self.json.close()
        self.html.close()


def draft(
    session: ReadSession, scope: Scope, project_id: str | None, now: int, directory: Path
) -> Draft:
    """Reads all that a report says. `project_id` is that of the scope; `directory` is where the
    temporary files are."""
    see_one_state(session)
    drafted = Draft(Summary(), _temporary(directory), _temporary(directory), directory)
    try:
        with hurried(evidence.ANSWER_SECONDS):
            _write_addons(session, scope, now, drafted)
            _write_changes(session, scope, project_id, drafted)
    except BaseException:
        drafted.close()
        raise
    return drafted


def _write_addons(session: ReadSession, scope: Scope, now: int, drafted: Draft) -> None:
    projects = None if scope.project_pk is None else [scope.project_pk]
    facts = {row.addon_pk: row for row in protected_rows.rows_of(session, projects)}
    chosen = objectives.of_all(session)
    places = evidence.places(session)
    for number, records in enumerate(evidence.records(session, scope), 1):
        row = facts.get(records.addon.pk)
        judged = None
        if row is not None:
            objective = objectives.effective(chosen, row.project_pk, row.addon_pk)
            judged = Judged(judge(row.facts, objective, now), objective, row.facts)
        target_pks = {row.target_pk for row in records.restores}
        targets = evidence.targets(session, target_pks, scope.project_pk) if target_pks else {}
        names = Names(places, targets)
        document = documents.of_addon(records, judged, names, scope.until, now)
        drafted.summary.add(document)
        _write(drafted.json, (",\n" if number > 1 else "") + _json(document))
        _write(drafted.html, page.addon(number, document))


def _write_changes(
    session: ReadSession, scope: Scope, project_id: str | None, drafted: Draft
) -> None:
    shown: deque[Document] = deque(maxlen=page.MAX_CHANGES)  # the newest, on the page
    count = 0
    _write(drafted.json, '\n],"changes":[\n')
    for entry in evidence.changes(session, scope, project_id):
        document = documents.of_change(entry)
        _write(drafted.json, (",\n" if count else "") + _json(document))
        shown.append(document)
        count += 1
    _write(drafted.json, "\n]}\n")
    drafted.summary.changes = count
    _write(drafted.html, page.changes(list(shown), count) + page.closing())


def finish(drafted: Draft, position: Position, origin: Document, key: PrivateKey) -> Signed:
    """The signed report. `origin` says who made it, when, about what, and what it lacks."""
    fingerprint = key.public.fingerprint
    head = documents.without_none(
        {
            "format": FORMAT,
            "number": position.number,
            "previous": _link(position.previous),
            "previousOfScope": _link(position.scope_previous),
            **origin,
            "keySha256": fingerprint,
            "summary": drafted.summary.document(),
        }
    )
    html, html_sha256 = _joined(page.opening(head), drafted.html, drafted.directory)
    document = {**head, "htmlSha256": html_sha256, "htmlBytes": html.tell()}
    opening = _json(document)[:-1] + ',"addons":[\n'
    body, sha256 = _joined(opening, drafted.json, drafted.directory)
    with mmap(body.fileno(), 0, access=ACCESS_READ) as mapped, memoryview(mapped) as view:
        signature = key.sign(view)
    files = (body, html, sha256, html_sha256, body.tell(), html.tell())
    return Signed(position, fingerprint, *files, signature)


def _link(link: Link | None) -> Document | None:
    return None if link is None else {"number": link.number, "sha256": link.sha256}


def _joined(opening: str, rest: IO[bytes], directory: Path) -> tuple[IO[bytes], str]:
    file, digest = _temporary(directory), hashlib.sha256()
    _write(file, opening)
    rest.seek(0)
    shutil.copyfileobj(rest, file, _CHUNK_BYTES)
    file.flush()
    file.seek(0)
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
    return file, digest.hexdigest()


def _temporary(directory: Path) -> IO[bytes]:
    """A file without a name: a killed process leaves nothing behind."""
    return tempfile.TemporaryFile(dir=directory)


def _json(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def _write(file: IO[bytes], text: str) -> None:
    # A text of a server may hold half of a surrogate pair, which UTF-8 cannot: JSON can escape it.
    file.write(text.encode(errors="backslashreplace"))
