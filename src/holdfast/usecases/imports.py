"""Imports: a dump of another server, or a file, becomes a backup of the addon.

An import restores nothing: that is a second request, once the backup is there. The address is
stored sealed, because it may hold a secret.
"""

from holdfast.catalog import addons, imports
from holdfast.catalog.database.session import WriteSession, lock_addon
from holdfast.catalog.schema import Addon, Backup, Import, Project, Upload, UploadPart
from holdfast.catalog.work import operations
from holdfast.catalog.work.operations import Order
from holdfast.contracts.engine import Dumpable
from holdfast.contracts.foreign import Importable, Ingestible
from holdfast.contracts.job_arguments import BackupArguments
from holdfast.domain.backup import BackupType, SourceType, taken_by
from holdfast.domain.errors import Conflict, Invalid, NotFound
from holdfast.kit import ids
from holdfast.kit.seal import Secret
from holdfast.usecases.backups import new_backup
from holdfast.usecases.context import Context
from holdfast.usecases.forms.forms import BackupForm, ImportForm, UploadForm
from holdfast.usecases.hosting.certificates import require_certificates

_COMMON = {"name", "compression_type", "custom_destination_id"}


def create(context: Context, project: Project, addon: Addon, form: ImportForm) -> Backup:
    source, secret = SourceType.FILE_UPLOAD, None
    if form.connection_string is not None:
        source = SourceType.LIVE_INSTANCE
        secret = Secret(form.connection_string.get_secret_value())
    elif form.import_url is not None:
        source, secret = SourceType.EXTERNAL_DUMP, Secret(form.import_url.get_secret_value())
    engine = context.services.engines(addon.kind)
    live = source is SourceType.LIVE_INSTANCE
    if not isinstance(engine, Dumpable if live else Importable | Ingestible):
        subject = "dumps of other servers" if live else "files"
        raise Conflict(f"{engine.title} addons cannot import {subject}")
    if secret is not None and live:
        address = engine.parse(secret.reveal())  # Invalid now, not when the job runs
        require_certificates(address, engine, context.services.certificates)
    lock_addon(context.session, addon.pk)
    upload = _finished_upload(context, addon, form)
    common = form.model_dump(include=_COMMON, by_alias=True, exclude_none=True)
    # A file becomes a snapshot if it is a physical copy and the engine has no dumps.
    dump = live or isinstance(engine, Importable)
    backup_type = BackupType.DUMP if dump else BackupType.SNAPSHOT
    wish = BackupForm.model_validate({"backupType": backup_type, **common})
    backup = new_backup(context, addon, wish, source)
    sealed = context.services.sealer.seal(secret, imports.context(backup.uid)) if secret else None
    context.session.add(
        Import(
            backup_pk=backup.pk,
            upload_pk=upload.pk if upload else None,
            sealed=sealed,
            every_database=form.import_all_databases is not False,
        )
    )
    arguments = BackupArguments(backup=backup.pk, project=project.id).document()
    lane = addons.lane(addon)
    order = Order(addon.pk, taken_by(wish.backup_type), lane, arguments, str(backup.operation))
    operations.create(context.session, context.services.queue, order, context.now)
    return backup


def _finished_upload(context: Context, addon: Addon, form: ImportForm) -> Upload | None:
    if form.upload_id is None:
        return None
    upload = find_upload(context, addon, form.upload_id)
    if upload.received == 0 or upload.size not in (None, upload.received):
        problem = f"only {upload.received} bytes of {upload.size or 'the file'} have arrived"
        raise Conflict(f"the upload is not finished: {problem}", {"uploadId": problem})
    return upload


def find_upload(context: Context, addon: Addon, upload_id: str) -> Upload:
    upload = imports.find_upload(context.session, addon.pk, upload_id)
    if upload is None:
        raise NotFound(f"there is no upload {upload_id!r}")
    return upload


def begin_upload(context: Context, addon: Addon, form: UploadForm) -> Upload:
    if form.size is not None and form.size > context.services.import_bytes:
        problem = f"is more than the {context.services.import_bytes} bytes that are allowed"
        raise Invalid(f"size {problem}", {"size": problem})
    upload = Upload(
        id=ids.hex24(),
        addon_pk=addon.pk,
        size=form.size,
        sha256=form.sha256,
        received=0,
        created=context.now,
        touched=context.now,
    )
    context.session.add(upload)
    context.session.flush()
    return upload


def part_prefix(upload_id: str) -> str:
    return f"uploads/{upload_id}/"


def part_key(upload: Upload, start: int, size: int, most: int) -> str | None:
    """A key for the part that begins at `start`; None: the part is there already.

    `most`: bytes an upload may have. Conflict, with the expected offset, for any other `start`.
    """
    total = upload.size if upload.size is not None else most
    if start + size > total:
        raise Conflict(
            f"the upload would have {start + size} bytes; {total} are allowed",
            {"offset": upload.received},
        )
    if start + size <= upload.received:
        return None
    if start != upload.received:
        raise Conflict(
            f"the next byte that is wanted is {upload.received}, not {start}",
            {"offset": upload.received},
        )
    return f"{part_prefix(upload.id)}{start:015d}-{ids.hex24()[:8]}"


def add_part(context: Context, addon: Addon, upload_id: str, part: UploadPart) -> Upload:
    """Adds a part whose object is in the store, unless another request added the same part."""
    lock_addon(context.session, addon.pk)
    upload = find_upload(context, addon, upload_id)
    context.session.refresh(upload)
    if part_key(upload, part.start, part.size, context.services.import_bytes) is None:
        return upload
    part.upload_pk = upload.pk
    context.session.add(part)
    upload.received += part.size
    upload.touched = context.now
    return upload


def retire_upload(session: WriteSession, upload_pk: int, before: int) -> Upload | None:
    """Marks an upload as dropped before its objects are removed; None: it is still needed.

    It is needed while a backup is made of it, or if it grew since `before`. This is decided in its
    row, under the lock that adding a part and importing it take too: so the decision still holds
    when the objects are removed, however late that is.
    """
    upload = session.get(Upload, upload_pk)
    if upload is None:
        return None
    lock_addon(session, upload.addon_pk)
    session.refresh(upload)
    unneeded = imports.imported(session, upload_pk) or upload.touched < before
    if not unneeded or imports.in_use(session, upload_pk):
        return None
    upload.touched = imports.DROPPED
    session.flush()
    return upload


def drop_upload(context: Context, addon: Addon, upload_id: str) -> None:
    """Drops an upload at once; the janitor removes its objects later."""
    upload = find_upload(context, addon, upload_id)
    if imports.in_use(context.session, upload.pk):
        raise Conflict("a backup is being made of the upload; abort it first")
    upload.touched = imports.DROPPED
