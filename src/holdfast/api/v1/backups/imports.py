"""Import routes: imports, and (extension) uploads of the files to import."""

import hashlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from typing import IO, Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from holdfast.api.places import AtAddon
from holdfast.api.reading import in_turn
from holdfast.api.v1.addons.addons import ADDON, Reader, Updater
from holdfast.catalog import imports as rows
from holdfast.catalog.schema import Addon, Upload, UploadPart
from holdfast.domain.access import Caller
from holdfast.domain.errors import Invalid, NotFound, TooLarge
from holdfast.http import answers
from holdfast.http.state import Api, State
from holdfast.http.writing import Writer, Writing
from holdfast.usecases import imports as verbs
from holdfast.usecases.context import Context
from holdfast.usecases.forms.forms import ImportForm, UploadForm
from holdfast.views import backups as views
from holdfast.views.shapes.backups import BackupView, UploadView
from holdfast.views.shapes.base import Empty, One

router = APIRouter(tags=["imports"])

UPLOADS = f"{ADDON}/uploads"
UPLOAD = f"{ADDON}/uploads/{{upload_id}}"
MAX_PART_BYTES = 16 << 20
_CHUNK_BYTES = 1 << 20


@router.post(f"{ADDON}/import", response_model=One[BackupView])
def import_backup(writing: Writing, caller: Updater, at: AtAddon, form: ImportForm) -> Response:
    """Makes a backup of the file; restoring it is a second step."""

    def create(context: Context) -> BackupView:
        backup = verbs.create(context, *at.both(context.session, caller), form)
        return views.views(context.session, [backup])[0]

    return writing.create(caller, create)


def _view(upload: Upload) -> UploadView:
    return UploadView(
        id=upload.id, received=upload.received, size=upload.size, part_size=MAX_PART_BYTES
    )


@router.post(UPLOADS, response_model=One[UploadView])
def begin_upload(writing: Writing, caller: Updater, at: AtAddon, form: UploadForm) -> Response:
    def begin(context: Context) -> UploadView:
        return _view(verbs.begin_upload(context, at.addon(context.session, caller), form))

    return writing.create(caller, begin)


@router.get(UPLOAD, response_model=One[UploadView])
@in_turn
def get_upload(api: State, caller: Reader, at: AtAddon, upload_id: str) -> Response:
    """The bytes that have arrived, to continue after a broken connection."""
    with api.catalog.read() as session:
        return answers.one(_view(_find(api, at.addon(session, caller), upload_id)))


def _find(api: Api, addon: Addon, upload_id: str) -> Upload:
    with api.catalog.read() as session:
        upload = rows.find_upload(session, addon.pk, upload_id)
        if upload is None:
            raise NotFound(f"there is no upload {upload_id!r}")
        session.expunge(upload)
        return upload


@router.delete(UPLOAD, response_model=One[Empty])
def drop_upload(writing: Writing, caller: Updater, at: AtAddon, upload_id: str) -> Response:
    def drop(context: Context) -> None:
        verbs.drop_upload(context, at.addon(context.session, caller), upload_id)

    return writing.undo(caller, drop)


class _Spool:
    """A part in a file without a name: a slow caller takes disk, not memory."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.size = size
        self._file = file

    def chunks(self) -> Iterator[bytes]:
        self._file.seek(0)
        while chunk := self._file.read(_CHUNK_BYTES):
            yield chunk


async def spooled_content(request: Request, api: State) -> AsyncIterator[_Spool]:
    size = 0
    with tempfile.TemporaryFile(dir=api.data_dir) as file:
        async for chunk in request.stream():
            size += len(chunk)
            if size > MAX_PART_BYTES:
                raise TooLarge(f"a part of an upload has at most {MAX_PART_BYTES} bytes")
            file.write(chunk)
        if not size:
            raise Invalid("the part is empty", {"body": "is empty"})
        yield _Spool(file, size)


Content = Annotated[_Spool, Depends(spooled_content)]


@router.put(
    f"{UPLOAD}/content",
    response_model=One[UploadView],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string"}}},
        }
    },
)
async def put_part(
    writing: Writing,
    caller: Updater,
    at: AtAddon,
    upload_id: str,
    content: Content,
    offset: Annotated[int, Query(ge=0, le=1 << 50)],
) -> Response:
    """Adds the bytes from `offset` on. The same part may be sent again; any other offset than the
    next is a 409 that names the next."""
    part = _Part(writing, caller, at, upload_id)
    async with writing.api.storing:
        return await run_in_threadpool(part.put, content, offset)


class _Part:
    """Stores a part, then records it; an unrecorded object is removed with the upload."""

    def __init__(self, writing: Writer, caller: Caller, at: AtAddon, upload_id: str) -> None:
        self._writing = writing
        self._caller = caller
        self._at = at
        self._upload_id = upload_id

    def put(self, content: _Spool, offset: int) -> Response:
        api = self._writing.api
        with api.catalog.read() as session:
            upload = _find(api, self._at.addon(session, self._caller), self._upload_id)
        key = verbs.part_key(upload, offset, content.size, api.services.import_bytes)
        if key is None:
            return answers.one(_view(upload))
        _store(api, key, content)
        part = UploadPart(start=offset, size=content.size, key=key)

        def note(context: Context) -> UploadView:
            addon = self._at.addon(context.session, self._caller)
            return _view(verbs.add_part(context, addon, self._upload_id, part))

        return self._writing.change(self._caller, note)


def _store(api: Api, key: str, content: _Spool) -> None:
    store = api.open_store(None)
    upload, sent = store.begin(key), hashlib.sha256()
    try:
        for chunk in content.chunks():
            sent.update(chunk)
            upload.write(chunk)
        upload.commit()
    except BaseException:
        upload.abort()
        raise
    back = hashlib.sha256()
    for chunk in store.get(key):
        back.update(chunk)
    if back.digest() != sent.digest():
        raise Invalid("the store gave back other bytes than it was given; send the part again")
