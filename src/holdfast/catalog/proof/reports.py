"""Rows of signed reports, the files that belong to them, and the key that signs them."""

from collections.abc import Iterator

from sqlalchemy import select

from holdfast.catalog.database.page import Page, Slice, take
from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import Report, ReportPart, SigningKey
from holdfast.domain.access import Caller
from holdfast.kit.seal import Sealer
from holdfast.kit.sign import PrivateKey, PublicKey

_PK = 1
_CONTEXT = "signing key of reports"


def settle_key(session: WriteSession, sealer: Sealer, now: int) -> None:
    """Makes the installation's key, once. Processes that start together have to take turns."""
    if session.get(SigningKey, _PK) is None:
        key = PrivateKey.new()
        sealed = sealer.seal(key.pem, _CONTEXT)
        row = SigningKey(pk=_PK, sealed_private=sealed, public=key.public.pem, created=now)
        session.add(row)
        session.flush()


def private_key(session: ReadSession, sealer: Sealer) -> PrivateKey:
    sealed = session.get_one(SigningKey, _PK).sealed_private
    return PrivateKey.from_pem(sealer.open(sealed, _CONTEXT))


def public_key(session: ReadSession) -> PublicKey:
    return PublicKey.from_pem(session.get_one(SigningKey, _PK).public)


def newest(session: ReadSession) -> Report | None:
    return session.scalar(select(Report).order_by(Report.pk.desc()).limit(1))


def newest_of(session: ReadSession, project: str | None) -> Report | None:
    """The last report about a project; None: about all of them."""
    about = select(Report).where(Report.project.is_not_distinct_from(project))
    return session.scalar(about.order_by(Report.pk.desc()).limit(1))


def add(session: WriteSession, report: Report, parts: Iterator[ReportPart]) -> None:
    """Stores a report and its files, which come part by part."""
    session.add(report)
    session.flush()
    for part in parts:
        part.report_pk = report.pk
        session.add(part)
        session.flush()
        session.expunge(part)  # one part is in memory, not all of them


def find(session: ReadSession, caller: Caller, number: int) -> Report | None:
    """The report of that number, if the caller may see it."""
    report = session.scalar(select(Report).where(Report.number == number))
    if report is None or caller.projects is None:
        return report
    return report if report.project in caller.projects else None


def listed(session: ReadSession, caller: Caller, page: Page) -> Slice[Report]:
    """The newest first; a caller of some projects sees those about one of these."""
    rows = select(Report)
    if caller.projects is not None:
        rows = rows.where(Report.project.in_(sorted(caller.projects)))
    return take(session, rows, Report.pk, page, "reports")


def part(session: ReadSession, report_pk: int, file: str, position: int) -> bytes | None:
    """A part of a report's file as it is stored; None: there are no more."""
    return session.scalar(
        select(ReportPart.body).where(
            ReportPart.report_pk == report_pk,
            ReportPart.file == file,
            ReportPart.position == position,
        )
    )
