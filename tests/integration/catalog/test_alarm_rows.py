"""Alarms and their outbox on both databases: opened once, sent once, closed when it is over."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from fixtures.in_process_installation import InProcessInstallation as Installation
from fixtures.timetables import DAY, HOUR, MINUTE, SetClock
from holdfast.catalog import addons
from holdfast.catalog.alarms import channels, deliveries, observations
from holdfast.catalog.database.touched import touch_addon
from holdfast.catalog.schema import AlarmRow, AttemptRow, ChannelRow, DeliveryRow, Schedule
from holdfast.catalog.work import workers
from holdfast.daemons.alarms.deliverer import Deliverer
from holdfast.daemons.alarms.evaluator import Evaluator
from holdfast.daemons.alarms.observer import HostObserver, SchedulerBeat, StoreObserver
from holdfast.daemons.protection import ProtectionCheck
from holdfast.domain.alarms.messages import Event, Message
from holdfast.domain.errors import Permanent, StoreUnavailable, Temporary
from holdfast.domain.operation import Status
from holdfast.kit import ids
from holdfast.kit.clock import SystemClock
from holdfast.kit.seal import Sealer
from holdfast.usecases.alarms.evaluation import evaluate
from holdfast.usecases.protection import drills

ONE_ALARM = {
    "alarms": [
        {
            "id": "a" * 24,
            "kind": "store.unusable",
            "severity": "critical",
            "subject": "the platform store",
            "reason": "away",
            "since": "2026-11-30T00:00:00.000Z",
        }
    ],
    "count": 1,
}


class Receiver:
    """What was received, by the channel's address; `failing` says how the next attempts end."""

    def __init__(self) -> None:
        self.received: list[tuple[str, Message]] = []
        self.failing: dict[str, Exception] = {}

    def open(self, kind: str, settings: Any) -> Any:
        receiver, name = self, settings["name"]

        class Opened:
            shown = name

            def send(self, message: Message, now: int) -> str:
                if name in receiver.failing:
                    raise receiver.failing[name]
                receiver.received.append((name, message))
                return "250 taken"

        return Opened()

    def events(self, name: str) -> list[str]:
        return [message.event for channel, message in self.received if channel == name]


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def installation(catalog: Any) -> Installation:
    """At the time of the database, whose clock the outbox goes by."""
    return Installation(catalog, clock=SetClock(SystemClock().now()))


def add_channel(installation: Installation, name: str, **more: Any) -> int:
    at = installation.clock.at
    with installation.catalog.write() as session:
        row = ChannelRow(
            id=name, name=name, kind="fake", shown=name, resolved=True, form={}, failures=0,
            created=at, updated=at, **{"severity": "info", **more},
        )  # fmt: skip
        channels.seal(row, {"name": name}, Sealer(bytes(32)))
        session.add(row)
        session.flush()
        return row.pk


def plan(installation: Installation, addon_pk: int) -> None:
    with installation.catalog.write() as session:
        session.add(
            Schedule(
                id=ids.hex24(), addon_pk=addon_pk, type="dump", compression="gz", additional=[],
                interval="daily", minute=[0], hour=[3], day=[], retention=7,
                next_due=installation.clock.at + 9 * DAY, created=installation.clock.at,
                updated=installation.clock.at,
            )
        )  # fmt: skip


def ended(installation: Installation, addon_pk: int, status: Status) -> None:
    """A backup that ended so."""
    installation.backup(addon_pk, status)
    with installation.catalog.write() as session:
        touch_addon(session, addon_pk)


def judge(installation: Installation) -> None:
    evaluate(installation.catalog, {}, installation.clock.at)


def alarms(installation: Installation) -> list[AlarmRow]:
    with installation.catalog.read() as session:
        rows = list(session.scalars(select(AlarmRow).order_by(AlarmRow.pk)))
        session.expunge_all()
        return rows


def attempts(installation: Installation) -> list[tuple[bool, str]]:
    with installation.catalog.read() as session:
        return [(row.ok, row.answer) for row in session.scalars(select(AttemptRow))]


def deliver(installation: Installation, receiver: Receiver) -> None:
    """Everything that is due, as the daemon does it, but in this thread."""
    deliverer = Deliverer(installation.toolbox, receiver.open)
    with installation.catalog.read() as session:
        due = deliveries.due(session)
    for channel_pk, delivery_pk in due.items():
        deliverer.send(channel_pk, delivery_pk)


def retry_now(installation: Installation) -> None:
    """The clock of the database cannot be set, so the waiting time is."""
    with installation.catalog.write() as session:
        for row in session.scalars(select(ChannelRow)):
            row.next_try = None


def test_a_failure_is_one_alarm_sent_once_and_closed_when_it_is_healed(
    installation: Installation,
    new_addon: Callable[[], int],
    receiver: Receiver,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    add_channel(installation, "ops")
    add_channel(installation, "boss", severity="critical")
    addon = new_addon()
    plan(installation, addon)
    ended(installation, addon, Status.FAILED)
    for _ in range(3):
        judge(installation)
        deliver(installation, receiver)
    (alarm,) = alarms(installation)
    assert (alarm.kind, alarm.severity, alarm.closed) == ("addon.backup-failed", "warning", None)
    assert receiver.events("ops") == [Event.OPENED]
    assert receiver.events("boss") == [], "a warning is beneath it"
    ended(installation, addon, Status.COMPLETED)
    for _ in range(2):
        judge(installation)
        deliver(installation, receiver)
    assert alarms(installation)[0].closed is not None
    assert receiver.events("ops") == [Event.OPENED, Event.CLOSED]
    ended(installation, addon, Status.FAILED)
    judge(installation)
    assert [row.closed is None for row in alarms(installation)] == [False, True], "not reopened"
    told = [line for line in caplog.records if line.name.endswith("alarms.evaluation")]
    assert [(line.levelname, line.message) for line in told] == [
        ("WARNING", "alarm.opened"),
        ("INFO", "alarm.closed"),
        ("WARNING", "alarm.opened"),
    ], "without any channel the log tells"


@pytest.mark.sqlite_first
def test_alarm_and_outbox_are_one_transaction(
    installation: Installation, new_addon: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies while it writes leaves neither an alarm nor a message."""
    add_channel(installation, "ops")
    addon = new_addon()
    plan(installation, addon)
    ended(installation, addon, Status.FAILED)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("holdfast.catalog.alarms.deliveries.add", die)
        with pytest.raises(KeyboardInterrupt):
            judge(installation)
    assert alarms(installation) == []
    judge(installation)
    with installation.catalog.read() as session:
        assert len(session.scalars(select(DeliveryRow)).all()) == 1


@pytest.mark.sqlite_first
def test_a_failing_channel_waits_keeps_order_and_is_an_alarm_on_the_others(
    installation: Installation, new_addon: Callable[[], int], receiver: Receiver
) -> None:
    add_channel(installation, "mail")
    add_channel(installation, "chat")
    addon = new_addon()
    plan(installation, addon)
    ended(installation, addon, Status.FAILED)
    receiver.failing["mail"] = Temporary("answered 451 later")
    judge(installation)
    deliver(installation, receiver)
    deliver(installation, receiver)
    assert attempts(installation).count((False, "answered 451 later")) == 1, "it did not wait"
    for _ in range(2):
        retry_now(installation)
        deliver(installation, receiver)
    judge(installation)
    deliver(installation, receiver)
    assert [row.kind for row in alarms(installation)] == ["addon.backup-failed", "channel.failing"]
    assert receiver.events("chat") == [Event.OPENED, Event.OPENED]
    assert receiver.received[-1][1].title == "Alarm: channel mail does not deliver"
    assert "answered 451 later" in receiver.received[-1][1].text
    del receiver.failing["mail"]
    ended(installation, addon, Status.COMPLETED)
    judge(installation)
    retry_now(installation)
    deliver(installation, receiver)
    judge(installation)
    deliver(installation, receiver)
    assert receiver.events("mail") == [Event.OPENED, Event.CLOSED], "what waited went in order"
    assert all(row.closed for row in alarms(installation))
    identifiers = [message.id for _, message in receiver.received]
    assert len(identifiers) == len(set(identifiers)), "something went twice"


def test_a_claim_keeps_others_out_and_its_end_is_told_once(
    installation: Installation, receiver: Receiver
) -> None:
    channel_pk = add_channel(installation, "ops")
    with installation.catalog.write() as session:
        row = deliveries.add(session, channel_pk, Event.TEST, {}, installation.clock.at)
        identifier, pk = row.id, row.pk
    with installation.catalog.write() as session:
        first = deliveries.claim(session, pk)
    assert first is not None
    with installation.catalog.write() as session:
        assert deliveries.claim(session, pk) is None
        assert deliveries.due(session) == {}
    with installation.catalog.write() as session:  # its holder was killed, and the lease is over
        session.get_one(DeliveryRow, pk).claimed = 1
    deliver(installation, receiver)
    assert [message.id for _, message in receiver.received] == [identifier]
    with installation.catalog.write() as session:
        assert deliveries.claim(session, pk) is None
        late = deliveries.Outcome(ok=False, answer="too late", took_ms=1)
        deliveries.settle(session, first, late, installation.clock.at)
        assert session.get_one(DeliveryRow, pk).sent is not None


@pytest.mark.sqlite_first
def test_what_is_refused_is_given_up_and_can_be_sent_again(
    installation: Installation, receiver: Receiver
) -> None:
    channel_pk = add_channel(installation, "ops")
    receiver.failing["ops"] = Permanent("answered 404 no such hook")
    with installation.catalog.write() as session:
        identifier = deliveries.add(
            session, channel_pk, Event.OPENED, ONE_ALARM, installation.clock.at
        ).id
    for _ in range(7):
        deliver(installation, receiver)
        retry_now(installation)
    assert attempts(installation) == [(False, "answered 404 no such hook")] * 5
    del receiver.failing["ops"]
    deliver(installation, receiver)
    assert receiver.received == []
    with installation.catalog.write() as session:
        row = deliveries.find(session, identifier)
        assert row is not None
        deliveries.resend(session, row, installation.clock.at)
    deliver(installation, receiver)
    assert [message.id for _, message in receiver.received] == [identifier]


@pytest.mark.sqlite_first
def test_storms_go_together_and_so_does_their_end(
    installation: Installation, new_addon: Callable[[], int], receiver: Receiver
) -> None:
    add_channel(installation, "ops")
    addons = [new_addon() for _ in range(7)]
    for addon in addons:
        plan(installation, addon)
        ended(installation, addon, Status.FAILED)
    judge(installation)
    deliver(installation, receiver)
    ((_, message),) = receiver.received
    assert message.document["count"] == 7
    for addon in addons:
        ended(installation, addon, Status.COMPLETED)
    judge(installation)
    deliver(installation, receiver)
    assert receiver.received[-1][1].title == "Resolved: 7 times addon.backup-failed"


def test_a_storm_that_drips_is_gathered(
    installation: Installation, new_addon: Callable[[], int], receiver: Receiver
) -> None:
    add_channel(installation, "ops")
    for _ in range(9):
        addon = new_addon()
        plan(installation, addon)
        ended(installation, addon, Status.FAILED)
        judge(installation)
        deliver(installation, receiver)
    assert len(receiver.received) == 5
    ended(installation, addon, Status.COMPLETED)
    judge(installation)
    deliver(installation, receiver)
    assert Event.CLOSED not in receiver.events("ops"), "the end came before the beginning"
    with installation.catalog.write() as session:
        unsent = select(DeliveryRow).where(DeliveryRow.sent.is_(None)).order_by(DeliveryRow.pk)
        opening, closing = session.scalars(unsent)
        assert (opening.body["count"], closing.body["count"]) == (4, 1)
        assert opening.due <= closing.due
        opening.due = closing.due = 1
    deliver(installation, receiver)
    assert receiver.events("ops")[-2:] == [Event.OPENED, Event.CLOSED]


@pytest.mark.sqlite_first
def test_nobody_who_snoozed_is_forgotten(
    installation: Installation, new_addon: Callable[[], int], receiver: Receiver
) -> None:
    add_channel(installation, "ops")
    addon = new_addon()
    plan(installation, addon)
    ended(installation, addon, Status.FAILED)
    judge(installation)
    with installation.catalog.write() as session:
        session.scalars(select(AlarmRow)).one().snoozed_until = installation.clock.at + HOUR
    installation.clock.at += HOUR - 1
    judge(installation)
    deliver(installation, receiver)
    assert receiver.events("ops") == [Event.OPENED]
    installation.clock.at += 1
    judge(installation)
    judge(installation)
    deliver(installation, receiver)
    assert receiver.events("ops") == [Event.OPENED, Event.REMINDED]


@pytest.mark.sqlite_first
def test_a_store_that_is_away(installation: Installation, receiver: Receiver) -> None:
    add_channel(installation, "ops")
    elsewhere = installation.destination("elsewhere")
    observer = StoreObserver(installation.toolbox, "node-1")
    working = installation.stores[elsewhere]
    installation.fail(elsewhere, list=[StoreUnavailable("it is away")])
    for pk in (None, elsewhere):
        observer.observe(pk)
    judge(installation)
    (alarm,) = alarms(installation)
    assert (alarm.kind, alarm.subject) == ("store.unusable", "store elsewhere")
    installation.stores[elsewhere] = working
    judge(installation)
    assert alarms(installation)[0].closed is None, "nothing was seen yet"
    observer.observe(elsewhere)
    judge(installation)
    assert alarms(installation)[0].closed is not None


@pytest.mark.sqlite_first
def test_the_silence_of_workers_and_schedulers(installation: Installation) -> None:
    tools = installation.toolbox
    evaluator, beat = Evaluator(tools, 60.0), SchedulerBeat(tools, "node-1")
    kinds = {"workers.dead", "schedulers.dead"}

    def pass_seconds(seconds: int, *, beating: bool) -> set[str]:
        for _ in range(seconds // 5):
            if beating:
                beat.round()
            evaluator.round()
            installation.clock.at += 5_000
        return {row.kind for row in alarms(installation) if row.closed is None}

    assert pass_seconds(55, beating=True) == set(), "an evaluator that just began knows nothing"
    assert pass_seconds(60, beating=True) == {"workers.dead"}
    assert pass_seconds(60, beating=False) == {"workers.dead"}
    assert pass_seconds(15, beating=False) == kinds
    newcomer = Evaluator(tools, 60.0)
    newcomer.round()
    assert {row.kind for row in alarms(installation) if row.closed is None} == kinds
    assert pass_seconds(10, beating=True) == {"workers.dead"}


@pytest.mark.sqlite_first
def test_drills_that_no_worker_takes(installation: Installation, addon_pk: int) -> None:
    installation.backup(addon_pk)

    def judged() -> list[str]:
        judge(installation)
        rows = [row for row in alarms(installation) if row.kind == "drills.waiting"]
        return [row.reason for row in rows if row.closed is None]

    with installation.catalog.write() as session:
        workers.join(session, "idle", "node")
        drills.start(installation.context(session), addons.get(session, addon_pk), None)
    assert judged() == [], "a worker may just be restarted"
    installation.clock.at += 6 * MINUTE
    assert judged() == ["1 wait; no worker takes drills: HOLDFAST_DRILLS is 0 for all of them"]
    with installation.catalog.write() as session:
        workers.join(session, "willing", "node", drills=1)
    assert judged() == []


@pytest.mark.sqlite_first
def test_a_hosts_key_and_clock(installation: Installation, tmp_path: Any) -> None:
    problems: list[str | None] = ["there is no master.key"]
    tools = replace(installation.toolbox, data_dir=tmp_path)
    observer = HostObserver(
        tools, "node-1", lambda: problems[0], 600, host_clock=installation.clock
    )
    observer.round()
    judge(installation)
    open_kinds = {row.kind for row in alarms(installation) if row.closed is None}
    assert "master-key.missing" in open_kinds
    problems[0] = None
    observer.round()
    judge(installation)
    assert not {row.kind for row in alarms(installation) if row.closed is None} & {
        "master-key.missing"
    }


@pytest.mark.sqlite_first
def test_a_difference_of_protection_is_an_alarm(
    installation: Installation, new_addon: Callable[[], int]
) -> None:
    addon = new_addon()
    with installation.catalog.write() as session:
        statement = f"UPDATE protection SET places = 7 WHERE addon_pk = {addon}"
        session.connection().exec_driver_sql(statement)
    ProtectionCheck(installation.toolbox).check()
    judge(installation)
    opened = [row for row in alarms(installation) if row.kind == "protection.differs"]
    assert [row.reason for row in opened] == [f"of addon {addon} these were: places"]
    ProtectionCheck(installation.toolbox).check()
    judge(installation)
    closed = [row for row in alarms(installation) if row.kind == "protection.differs"]
    assert closed[0].closed is not None


@pytest.mark.sqlite_first
def test_digests(
    installation: Installation, new_addon: Callable[[], int], receiver: Receiver
) -> None:
    add_channel(installation, "ops", digest="daily", digest_due=installation.clock.at)
    addon = new_addon()
    plan(installation, addon)
    ended(installation, addon, Status.FAILED)
    judge(installation)
    judge(installation)
    deliver(installation, receiver)
    assert sorted(receiver.events("ops")) == sorted([Event.OPENED, Event.DIGEST])
    digest = next(message for _, message in receiver.received if message.event == Event.DIGEST)
    assert digest.title == "Holdfast: 1 open alarms; 1 at risk"
    installation.clock.at += DAY
    judge(installation)
    deliver(installation, receiver)
    assert receiver.events("ops").count(Event.DIGEST) == 2


@pytest.mark.sqlite_first
def test_old_rows_are_forgotten(installation: Installation, receiver: Receiver) -> None:
    channel_pk = add_channel(installation, "ops")
    with installation.catalog.write() as session:
        deliveries.add(session, channel_pk, Event.TEST, {}, 1)
        deliveries.add(session, channel_pk, Event.TEST, {}, installation.clock.at)
        observations.note(session, "node-0", {"disk node": None}, 1)
    deliver(installation, receiver)
    with installation.catalog.write() as session:
        assert deliveries.forget(session, installation.clock.at, 10) == 1
        assert len(session.scalars(select(DeliveryRow)).all()) == 1
        observations.forget_worn(session, installation.clock.at)
        assert observations.current(session) == []
