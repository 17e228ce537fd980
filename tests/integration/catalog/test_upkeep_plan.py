"""The plan: what goes, when and why; what it says is what happens, and it changes nothing."""

from collections.abc import Callable

import pytest

from fixtures.in_process_installation import POLICY, InProcessInstallation
from fixtures.timetables import CALLER, DAY, HOUR
from holdfast.catalog.database.page import Page
from holdfast.catalog.schema import Addon
from holdfast.catalog.storage import deletions, findings
from holdfast.domain.access import Caller
from holdfast.domain.errors import StoreUnavailable
from holdfast.domain.operation import Status
from holdfast.kit.clock import parse_rfc3339
from holdfast.views import retention
from holdfast.views.retention import Scope
from holdfast.views.shapes.retention import AddonPlan, PlannedCopy


def plan_of(installation: InProcessInstallation, addon_pk: int) -> AddonPlan:
    with installation.catalog.read() as session:
        addon = session.get_one(Addon, addon_pk)
        return retention.plan_of(session, addon, installation.clock.at, POLICY)


def by_backup(installation: InProcessInstallation, addon_pk: int, *pks: int) -> list[PlannedCopy]:
    found = {each.backup_id: each for each in plan_of(installation, addon_pk).copies}
    return [found[installation.row(pk).id] for pk in pks]


def test_every_copy_says_what_becomes_of_it(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    old, retained = installation.backup(addon_pk), installation.backup(addon_pk)
    forever = installation.backup(addon_pk, days=None)
    installation.retain(retained)
    installation.clock.at += DAY
    young, newest = installation.backup(addon_pk, days=3), installation.backup(addon_pk, days=3)

    now = installation.clock.at
    plans = by_backup(installation, addon_pk, old, retained, forever, young, newest)

    assert [each.fate for each in plans] == ["expired", "kept", "kept", "kept", "kept"]
    goes = [each.deletes_at and parse_rfc3339(each.deletes_at) for each in plans]
    assert goes == [now + DAY, None, None, now + 4 * DAY, None]
    earliest = [each.earliest_at and parse_rfc3339(each.earliest_at) for each in plans]
    assert earliest == [None, None, None, None, now + 4 * DAY]
    assert plans[0].reasons == ["its retention time is over"]
    assert "it is retained for ever" in plans[1].reasons
    assert "it is the newest good backup of the addon" in plans[4].reasons
    assert [each.backup_id for each in plan_of(installation, addon_pk).copies] == [
        installation.row(pk).id for pk in (newest, young, forever, retained, old)
    ]


def test_what_is_marked_going_and_stuck_shows_its_deletion(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    old, newest = installation.backup(addon_pk), installation.backup(addon_pk)
    installation.round(days=1)
    (marked,) = by_backup(installation, addon_pk, old)
    assert (marked.fate, marked.deletion and marked.deletion.tries) == ("marked", 0)

    installation.fail(None, clear=[StoreUnavailable("away")])
    installation.round(days=1)
    stuck, kept = by_backup(installation, addon_pk, old, newest)
    assert stuck.fate == "stuck"
    assert stuck.deletion is not None
    assert (stuck.deletion.last_error, stuck.deletion.tries) == ("away", 1)
    assert stuck.deletes_at == stuck.deletion.next_try_at
    assert kept.fate == "kept"

    installation.delete(newest, force=True)
    (going,) = by_backup(installation, addon_pk, newest)
    assert (going.fate, going.reasons) == ("going", ["deleted by force by tester"])


@pytest.mark.sqlite_first
def test_what_the_plan_says_is_what_happens(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    pks: list[int] = []
    for hour in range(30):
        status = Status.FAILED if hour % 7 == 3 else Status.COMPLETED
        pks.append(installation.backup(addon_pk, status, days=1 + hour % 3))
        installation.clock.at += HOUR
    installation.round(hours=40)
    said = dict(zip(pks, by_backup(installation, addon_pk, *pks), strict=True))
    ended: dict[int, int] = {}
    for _ in range(24 * 5):
        installation.round(hours=1)
        for pk in pks:
            if pk not in ended and installation.copies(pk)[0].gone is not None:
                ended[pk] = installation.clock.at

    assert len(ended) == len(pks) - 1
    for pk, plan in said.items():
        if pk in ended:
            assert plan.deletes_at is not None
            assert 0 <= ended[pk] - parse_rfc3339(plan.deletes_at) <= 26 * HOUR, plan
        else:
            assert (plan.deletes_at, plan.fate) == (None, "kept")
    exact = [p for p in said.values() if p.fate in ("marked", "expired")]
    assert len(exact) > 4
    for plan in exact:
        (pk,) = [pk for pk, each in said.items() if each is plan]
        assert ended[pk] - parse_rfc3339(str(plan.deletes_at)) <= HOUR


def test_the_plan_is_paged_by_addon_and_shows_only_what_the_caller_sees(
    installation: InProcessInstallation, new_addon: Callable[[], int]
) -> None:
    addons = [new_addon() for _ in range(3)]
    new_addon()  # without backups
    for addon in addons:
        installation.backup(addon)
    with installation.catalog.write() as session:
        session.get_one(Addon, addons[0]).deleted = installation.clock.at
        names = [session.get_one(Addon, pk).id for pk in addons]

    def look(
        caller: Caller = CALLER, page: Page = Page(), scope: Scope = Scope()  # noqa: B008 - frozen
    ) -> tuple[list[str], str | None]:  # fmt: skip
        with installation.catalog.read() as session:
            found = retention.plan(session, caller, page, scope, installation.clock.at, POLICY)
            return [each.addon.id for each in found.items], found.cursor

    assert look() == (names[::-1], None)
    first, cursor = look(page=Page(size=2))
    assert first == names[:0:-1]
    assert look(page=Page(size=2, cursor=cursor)) == (names[:1], None)
    only = Caller("0" * 24, "x", "owner", frozenset(), frozenset({names[1]}))
    assert look(only) == ([names[1]], None)
    assert look(scope=Scope(names[0], names[0])) == ([names[0]], None)
    assert look(scope=Scope(addon="nobody")) == ([], None)
    assert plan_of(installation, addons[0]).addon.deleted is True


def test_totals_count_every_copy_once(
    installation: InProcessInstallation, new_addon: Callable[[], int]
) -> None:
    for _ in range(3):
        addon = new_addon()
        for _ in range(4):
            installation.backup(addon)
    installation.round(days=1)
    installation.delete(installation.backup(addon))
    with installation.catalog.read() as session:
        found = retention.totals(session, installation.clock.at, POLICY)
    counts = {fate: amount.copies for fate, amount in found.fates.items()}
    assert found.addons == 3
    assert counts == {"kept": 3, "expired": 6, "marked": 3, "going": 1, "stuck": 0}


def test_deletions_and_findings_say_whose_they_are(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    old, new = installation.backup(addon_pk), installation.backup(addon_pk)
    installation.round(days=1)
    installation.vanish(new)
    installation.round(days=1)
    stranger = Caller("0" * 24, "x", "owner", frozenset(), frozenset({"elsewhere"}))
    for caller, count in ((CALLER, 1), (stranger, 0)):
        with installation.catalog.read() as session:
            rows = deletions.listed(session, caller, Page(), open_only=False)
            gone = retention.deletions_view(session, rows.items)
            seen = findings.listed(session, caller, Page(), "lost")
            lost = retention.findings_view(session, seen.items)
            assert (len(gone), len(lost)) == (count, count)
    with installation.catalog.read() as session:
        rows = deletions.listed(session, CALLER, Page(), open_only=False)
        (view,) = retention.deletions_view(session, rows.items)
        assert (view.state, view.backup_id) == ("called-off", installation.row(old).id)
        assert deletions.listed(session, CALLER, Page(), open_only=True).items == []


@pytest.mark.parametrize("kind", ["foreign", "leftover"])
def test_findings_of_other_kinds_are_apart(installation: InProcessInstallation, kind: str) -> None:
    with installation.catalog.read() as session:
        assert findings.listed(session, CALLER, Page(), kind).items == []
