"""Alarms: which symptoms an addon has, what becomes of open alarms, storms, retries, digests."""

from dataclasses import replace

import pytest

from holdfast.domain.alarms.delivery import gives_up, retry_ms
from holdfast.domain.alarms.messages import Event, message_of
from holdfast.domain.alarms.rules import (
    RULES,
    Digest,
    Filters,
    Kind,
    Open,
    Pace,
    Severity,
    Symptom,
    cause_of,
    changes,
    disk_problem,
    is_young,
    next_digest,
    pace,
    symptoms_of_addon,
)
from holdfast.domain.protection import Facts, Objective
from holdfast.domain.units import DAY_MS, HOUR_MS, MINUTE_MS
from holdfast.kit.clock import parse_rfc3339

NOW = 100 * DAY_MS
WELL = Facts(
    created=1,
    planned=1,
    longest_gap_ms=DAY_MS,
    next_due=NOW + HOUR_MS,
    first_good=NOW - DAY_MS,
    last_good=NOW - HOUR_MS,
    places=1,
    proven=NOW - HOUR_MS,
)


def kinds(facts: Facts, objective: Objective | None = None) -> set[Kind]:
    return set(symptoms_of_addon(facts, objective or Objective(), NOW))


def test_each_reason_is_a_kind_of_alarm() -> None:
    assert kinds(WELL) == set()
    assert kinds(replace(WELL, last_good=NOW - 2 * DAY_MS)) == {Kind.UNPROTECTED}
    assert kinds(replace(WELL, failing=NOW, failure="disk full")) == {Kind.BACKUP_FAILED}
    assert kinds(replace(WELL, next_due=NOW - 6 * MINUTE_MS)) == {Kind.OVERDUE}
    assert kinds(replace(WELL, lost=1, places=1)) == {Kind.COPY_LOST}
    assert kinds(WELL, Objective(places=2)) == {Kind.TOO_FEW_COPIES}
    assert kinds(replace(WELL, proven=NOW - 31 * DAY_MS)) == {Kind.UNPROVEN}
    assert kinds(replace(WELL, planned=None)) == {Kind.NO_PLAN}
    assert kinds(WELL, Objective(max_age_ms=2 * HOUR_MS)) == {Kind.TOO_STRICT}


def test_what_is_paused_or_not_due_yet_is_no_alarm() -> None:
    assert kinds(replace(WELL, paused=NOW, failing=NOW)) == set()
    fresh = Facts(created=NOW, planned=NOW, longest_gap_ms=DAY_MS, next_due=NOW + 1)
    assert kinds(fresh) == set()


def test_an_addon_gets_an_hour_to_be_scheduled() -> None:
    assert is_young(Kind.NO_PLAN, NOW - HOUR_MS + 1, NOW)
    assert not is_young(Kind.NO_PLAN, NOW - HOUR_MS, NOW)
    assert not is_young(Kind.BACKUP_FAILED, NOW, NOW)


FAILED = Symptom(Kind.BACKUP_FAILED, "7", "p/a", "no password", NOW, 1, 7)
STORE = Symptom(Kind.STORE, "platform", "the platform store", "away", NOW)


def opened(symptom: Symptom, pk: int = 1, **more: object) -> Open:
    alarm = Open(pk, symptom.cause, symptom.kind, symptom.reason, NOW)
    return replace(alarm, **more)


def test_a_cause_opens_one_alarm_however_often_it_is_seen() -> None:
    assert changes([FAILED], (), [], NOW).opened == [FAILED]
    assert not changes([FAILED], (), [opened(FAILED)], NOW)


def test_what_is_judged_from_everything_ends_when_it_is_not_seen() -> None:
    assert changes([], (), [opened(FAILED)], NOW).closed == [1]


def test_what_is_observed_ends_only_when_it_is_seen_to_be_over() -> None:
    assert not changes([], (), [opened(STORE)], NOW)
    assert changes([], {STORE.cause}, [opened(STORE)], NOW).closed == [1]


def test_a_young_symptom_opens_none_and_keeps_an_open_one() -> None:
    young = replace(FAILED, young=True)
    assert not changes([young], (), [], NOW)
    assert not changes([young], (), [opened(FAILED)], NOW)


def test_reasons_that_grow_older_are_written_anew_hourly() -> None:
    older = replace(FAILED, reason="no password, still")
    assert not changes([older], (), [opened(FAILED)], NOW + HOUR_MS - 1)
    again = changes([older], (), [opened(FAILED)], NOW + HOUR_MS)
    assert again.reworded == {1: "no password, still"}


def test_a_snoozed_alarm_awakes() -> None:
    snoozed = opened(FAILED, snoozed_until=NOW + 5)
    assert not changes([FAILED], (), [snoozed], NOW + 4)
    assert changes([FAILED], (), [snoozed], NOW + 5).awake == [1]


def test_filters() -> None:
    everything = Filters(3)
    assert everything.match(Kind.STORE, "platform", None)
    assert everything.match(Kind.CHANNEL, "4", None)
    assert not everything.match(Kind.CHANNEL, "3", None), "it hears of its own failure"
    assert not Filters(3, Severity.CRITICAL).match(Kind.BACKUP_FAILED, "7", 1)
    assert Filters(3, projects=frozenset({1})).match(Kind.BACKUP_FAILED, "7", 1)
    assert not Filters(3, projects=frozenset({1})).match(Kind.STORE, "platform", None)
    assert not Filters(3, kinds=frozenset({"store.unusable"})).match(Kind.UNPROTECTED, "7", 1)


@pytest.mark.parametrize(
    ("count", "recent", "expected"),
    [
        (1, 0, Pace.SINGLY),
        (5, 0, Pace.SINGLY),
        (6, 0, Pace.TOGETHER),
        (1, 4, Pace.SINGLY),
        (1, 5, Pace.LATER),
    ],
)
def test_storms_go_together(count: int, recent: int, expected: Pace) -> None:
    assert pace(count, recent) is expected


def test_retries_are_ever_rarer_and_end() -> None:
    delays = [retry_ms(failures) for failures in range(1, 12)]
    assert delays == sorted(delays)
    assert delays[0] == 5_000
    assert delays[-1] == retry_ms(1_000) == 15 * MINUTE_MS
    assert not gives_up(HOUR_MS, 99, refused=False)
    assert gives_up(DAY_MS, 1, refused=False)
    assert gives_up(0, 5, refused=True)


def test_disks() -> None:
    gib = 1 << 30
    assert disk_problem(1000 * gib, 11 * gib) is None
    assert disk_problem(100 * gib, 6 * gib) is None
    assert disk_problem(100 * gib, 4 * gib) == "4.0 GiB of 100.0 GiB are free"
    assert disk_problem(gib, gib // 8) == "128.0 MiB of 1.0 GiB are free"


def test_digests_come_at_seven() -> None:
    monday = parse_rfc3339("2026-11-30T06:59:00Z")
    assert next_digest(Digest.DAILY, monday) == parse_rfc3339("2026-11-30T07:00:00Z")
    assert next_digest(Digest.WEEKLY, monday) == parse_rfc3339("2026-11-30T07:00:00Z")
    seven = parse_rfc3339("2026-11-30T07:00:00Z")
    assert next_digest(Digest.DAILY, seven) == seven + DAY_MS
    assert next_digest(Digest.WEEKLY, seven) == seven + 7 * DAY_MS


def document(kind: Kind) -> dict[str, str]:
    rule = RULES[kind]
    return {
        "id": "1" * 24,
        "kind": kind,
        "severity": rule.severity,
        "subject": "shop/orders",
        "reason": "it hurts",
        "remedy": rule.remedy,
        "since": "2026-11-30T00:00:00.000Z",
    }


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("event", [Event.OPENED, Event.CLOSED, Event.REMINDED])
def test_every_alarm_has_words(kind: Kind, event: Event) -> None:
    message = message_of("e" * 24, event, {"alarms": [document(kind)], "count": 1})
    assert "shop/orders" in message.title
    assert message.text.startswith("it is over; it was: " * (event is Event.CLOSED) + "it hurts")
    assert "e" * 24 in message.text
    assert (RULES[kind].remedy in message.text) is (event is not Event.CLOSED)


def test_a_storm_names_some_and_counts_the_rest() -> None:
    alarms = [document(Kind.BACKUP_FAILED)] * 30
    message = message_of("e" * 24, Event.OPENED, {"alarms": alarms, "count": 2_000})
    assert message.title == "Alarm: 2000 times addon.backup-failed"
    assert message.text.count("shop/orders") == 20
    assert "in all 2000" in message.text


def test_a_cause_names_its_kind_and_source() -> None:
    assert FAILED.cause == cause_of(Kind.BACKUP_FAILED, "7") == "addon.backup-failed 7"
