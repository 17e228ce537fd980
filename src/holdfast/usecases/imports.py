"""Imports: a dump of another server, or of a file, becomes a backup of the addon.

Nothing is restored by it: that is a second step, for which the caller asks when the backup is
there. What was asked for is sealed, because addresses hold secrets.
"""

from holdfast.catalog import addons, imports
from holdfast.catalog.database.session import WriteSession, lock_addon
from holdfast.catalog.schema import Addon, Backup, Import, Project, Upload, UploadPart
from holdfast.catalog.work import operations
from holdfast.catalog.work.operations import Order
from holdfast.contracts.engine import Dumpable, Engine
from holdfast.contracts.foreign import Importable, Ingestible
from holdfast.domain.backup import BackupType, SourceType, taken_by
from holdfast.domain.errors import Conflict, Invalid, NotFound
from holdfast.kit import ids
from holdfast.kit.seal import Secret
from holdfast.usecases.backups import new_backup
from holdfast.usecases.certificates import require_certificates
from holdfast.usecases.context import Context
from holdfast.usecases.forms.forms import BackupForm, ImportForm, UploadForm

_COMMON = {"name", "compression_type", "custom_destination_id"}


def create(context: Context, project: Project, addon: Addon, form: ImportForm) -> Backup:
    source, secret = _source(form)
    engine = _able(context, addon, source)
    if secret is not None and source is SourceType.LIVE_INSTANCE:
        address = engine.parse(secret.reveal())  # what is no address is said at once
        require_certificates(address, engine, context.services.certificates)
    lock_addon(context.session, addon.pk)
    upload = _finished_upload(context, addon, form)
    common = form.model_dump(include=_COMMON, by_alias=True, exclude_none=True)
    wish = BackupForm.model_validate({"backupType": _type(engine, source), **common})
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
    arguments = {"backup": backup.pk, "project": project.id}
    lane = addons.lane(addon)
    order = Order(addon.pk, taken_by(wish.backup_type), lane, arguments, str(backup.operation))
    operations.create(context.session, context.services.queue, order, context.now)
    return backup


def _source(form: ImportForm) -> tuple[SourceType, Secret | None]:
    if form.connection_string is not None:
        return SourceType.LIVE_INSTANCE, Secret(form.connection_string.get_secret_value())
    if form.import_url is not None:
        return SourceType.EXTERNAL_DUMP, Secret(form.import_url.get_secret_value())
    return SourceType.FILE_UPLOAD, None


def _able(context: Context, addon: Addon, source: SourceType) -> Engine:
    engine = context.services.engines(addon.kind)
    live = source is SourceType.LIVE_INSTANCE
    if not isinstance(engine, Dumpable if live else Importable | Ingestible):
        what = "dumps of other servers" if live else "files"
        raise Conflict(f"{engine.title} addons cannot import {what}")
    return engine


def _type(engine: Engine, source: SourceType) -> BackupType:
    """A file is a snapshot where it is one as it is, and the engine knows nothing else."""
    dump = source is SourceType.LIVE_INSTANCE or isinstance(engine, Importable)
    return BackupType.DUMP if dump else BackupType.SNAPSHOT


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


def place_for(upload: Upload, start: int, size: int, most: int) -> str | None:
    """The key for a part that begins at `start`; None: it is there already.

    Conflict with the place that is wanted, when it is another one.
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
    """The part's object is in the store. Somebody else may have been quicker: then its is used."""
    lock_addon(context.session, addon.pk)
    upload = find_upload(context, addon, upload_id)
    context.session.refresh(upload)
    if place_for(upload, part.start, part.size, context.services.import_bytes) is None:
        return upload
    part.upload_pk = upload.pk
    context.session.add(part)
    upload.received += part.size
    upload.touched = context.now
    return upload


def retire_upload(session: WriteSession, upload_pk: int, before: int) -> Upload | None:
    """Makes sure that nobody uses an upload any more, before its objects are removed.

    None: something is made of it, or it grew since then. Decided under the lock that whoever adds
    to it or makes a backup of it takes, and in its row: what is decided here cannot be out of date
    when the objects go, however late that is.
    """
    upload = session.get(Upload, upload_pk)
    if upload is None:
        return None
    lock_addon(session, upload.addon_pk)
    session.refresh(upload)
    done = imports.imported(session, upload_pk) or upload.touched < before
    if not done or imports.in_use(session, upload_pk):
        return None
    upload.touched = imports.DROPPED
    session.flush()
    return upload


def drop_upload(context: Context, addon: Addon, upload_id: str) -> None:
    """From now on there is no such upload. Its objects go when the janitor comes by."""
    upload = find_upload(context, addon, upload_id)
    if imports.in_use(context.session, upload.pk):
        raise Conflict("a backup is being made of the upload; abort it first")
    upload.touched = imports.DROPPED
