"""Adds the rows of an adopted archive: its windows can be restored into other addons again."""

from holdfast.catalog.archiving import archives
from holdfast.catalog.schema import ArchiveRow
from holdfast.catalog.storage import adopted
from holdfast.kit import ids
from holdfast.pipeline import age
from holdfast.usecases.adoption.archive_survey import LOST, SurveyedArchive
from holdfast.usecases.archiving.archives import DEFAULT_INTERVAL_S
from holdfast.usecases.context import Context

_FOR_EVER_DAYS = 36_500
"""As adopted backups have no retention time: only a person lets go of it."""


def take_in_archive(context: Context, surveyed: SurveyedArchive) -> ArchiveRow | None:
    """None where no adopted addon has it, or where it is known already."""
    session = context.session
    addon = adopted.addon_of(session, surveyed.uid)
    if addon is None or not surveyed.lines:
        return None
    if archives.of_addon(session, addon.pk) is not None:
        return None
    archive = ArchiveRow(
        addon_pk=addon.pk,
        wanted=False,
        days=_FOR_EVER_DAYS,
        interval_s=DEFAULT_INTERVAL_S,
        unbounded=False,
        slot=f"holdfast_{ids.hex24()[:16]}",
        recipient=age.recipient_of(surveyed.identity.reveal()),
        sealed_identity=context.services.sealer.seal(
            surveyed.identity, archives.context(addon.uid)
        ),
        fence=0,
        state=archives.OFF,
        reason=LOST,
        bytes=0,
        since=context.now,
        created=context.now,
    )
    session.add(archive)
    session.flush()
    keys: dict[tuple[str, str], int] = {}
    for one in surveyed.lines:
        one.line.archive_pk = archive.pk
        if one.parent is not None:
            one.line.parent_pk = keys.get((one.line.root, one.parent))
        session.add(one.line)
        session.flush()
        keys[one.line.root, one.line.name] = one.line.pk
        for piece in one.pieces:
            piece.line_pk = one.line.pk
        session.add_all(one.pieces)
        archive.bytes += sum(piece.stored for piece in one.pieces)
    session.flush()
    return archive
