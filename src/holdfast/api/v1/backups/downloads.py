"""Download routes: a signed link that expires, and the file behind it, with ranges.

The link needs no token. It opens one backup for an hour, as long as the token that asked for it may
still read.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response, StreamingResponse

from holdfast.api.in_use import InUse
from holdfast.api.places import AtBackup
from holdfast.api.v1.addons.addons import Reader
from holdfast.api.v1.backups.backups import BACKUP
from holdfast.catalog import backups, tokens
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Backup
from holdfast.catalog.storage import copies
from holdfast.domain.access import Permission
from holdfast.domain.backup import SUFFIX, BackupType, Compression
from holdfast.domain.errors import Conflict, Forbidden, NotFound
from holdfast.domain.operation import Status
from holdfast.domain.units import HOUR_MS
from holdfast.http import answers
from holdfast.http.state import Api, State
from holdfast.pipeline.bundle import Bundle, Content, Read
from holdfast.views.shapes.backups import DownloadLink
from holdfast.views.shapes.base import One

router = APIRouter(tags=["backups"])
files = APIRouter(tags=["backups"])

_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": _BYTES},
    206: {"description": "The range of it that was asked for.", "content": _BYTES},
    416: {"description": "The file has no such range."},
}


@router.get(f"{BACKUP}/download-link", response_model=One[DownloadLink])
def download_link(api: State, request: Request, caller: Reader, at: AtBackup) -> Response:
    with api.catalog.read() as session:
        backup = at.backup(session, caller)
    if backup.type != BackupType.DUMP:
        raise Conflict("a snapshot cannot be downloaded; only dumps can")
    if backup.status != Status.COMPLETED:
        raise Conflict(f"the backup is {backup.status}; only completed ones can be downloaded")
    expires = api.clock.now() + HOUR_MS
    signature = api.signer.sign(_subject(backup.uid, caller.token_id), expires)
    path = f"/v1/downloads/{backup.uid}/{_file_name(backup)}"
    base = api.public_url or str(request.base_url).rstrip("/")  # as this caller reached us
    link = f"{base}{path}?expires={expires}&by={caller.token_id}&signature={signature}"
    return answers.one(DownloadLink(download_link=link))


def _subject(uid: str, token_id: str) -> str:
    return f"{uid}|{token_id}"


def _file_name(backup: Backup) -> str:
    return f"{backup.id}.tar.{SUFFIX[Compression(str(backup.compression))]}"


@dataclass(frozen=True)
class Permit:
    """The query of a link."""

    expires: Annotated[int, Query()]
    by: Annotated[str, Query(description="whose link it is: the id of a token")]
    signature: Annotated[str, Query()]

    def require_signed(self, api: Api, uid: str, now: int) -> None:
        """Raises Forbidden unless we signed it for this backup and it has not expired."""
        if not api.signer.valid(_subject(uid, self.by), self.expires, self.signature, now):
            raise Forbidden("the link is not valid or has expired; ask for a new one")

    def require_held(self, session: ReadSession, now: int) -> None:
        """Raises Forbidden when the token that asked for it is gone or may no longer read."""
        caller = tokens.caller_of(session, self.by, now)
        if caller is None or not caller.may(Permission.ADDON_READ):
            raise Forbidden("the token that asked for this link may not read backups any more")


@files.head("/v1/downloads/{uid}/{name}", include_in_schema=False, response_model=None)
@files.get("/v1/downloads/{uid}/{name}", response_class=StreamingResponse, responses=_ANSWERS)
def download(
    api: State,
    request: Request,
    uid: str,
    name: str,
    permit: Annotated[Permit, Depends()],
) -> Response:
    """The dump as one compressed tar that stock tools open."""
    now = api.clock.now()
    permit.require_signed(api, uid, now)  # before any query, as strangers may send anything
    with api.catalog.read() as session:
        permit.require_held(session, now)
        backup = backups.by_uid(session, uid)
        if backup is None or name != _file_name(backup):
            raise NotFound("the backup is gone")
        copy = copies.first(session, backup.pk)
        session.expunge_all()
    contents = [
        Content(member["name"], member["key"], member["plain_bytes"], member["stored_bytes"])
        for member in (backup.evidence or {})["members"]
    ]
    bundle = Bundle(contents, str(backup.compression), backup.created // 1000)
    start, end = _requested_range(request, bundle.size)
    store = api.open_store(copy.destination_pk)

    def read(key: str, low: int, high: int) -> Iterator[bytes]:
        return store.get(f"{copy.objects}{key}", low, high)

    return _stream(request, backup, bundle, start, end, read, InUse(api, [copy]))


def _requested_range(request: Request, size: int) -> tuple[int, int]:
    """Returns the range [start, end); the whole file unless exactly one is asked for."""
    header = request.headers.get("range", "")
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", header.strip())
    if match is None or match.group(0) == "bytes=-":
        return 0, size
    first, last = match.groups()
    if not first:
        return max(size - int(last), 0), size
    return int(first), min(int(last) + 1, size) if last else size


def _stream(
    request: Request,
    backup: Backup,
    bundle: Bundle,
    start: int,
    end: int,
    read: Read,
    in_use: InUse,
) -> Response:
    headers = {
        "accept-ranges": "bytes",
        "content-disposition": f'attachment; filename="{_file_name(backup)}"',
        "etag": f'"{(backup.evidence or {})["manifestSha256"]}"',
    }
    if start >= end:
        in_use.end()
        return Response(status_code=416, headers={"content-range": f"bytes */{bundle.size}"})
    partial = (start, end) != (0, bundle.size)
    if partial:
        headers["content-range"] = f"bytes {start}-{end - 1}/{bundle.size}"
    headers["content-length"] = str(end - start)
    body = in_use.chunks(iter(()) if request.method == "HEAD" else bundle.read(start, end, read))
    status = 206 if partial else 200
    return StreamingResponse(
        body, status_code=status, headers=headers, media_type="application/octet-stream"
    )
