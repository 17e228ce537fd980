"""The alert rules in `deploy/prometheus`: each fires when it should, and does not when not.

Prometheus' own `promtool` evaluates them over series that are made up here, one sample a minute.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from fixtures.monitored import RULES, alerts, promtool

ADDON = 'project="shop",addon="orders",type="postgresql"'
AT = {"project": "shop", "addon": "orders", "type": "postgresql"}
DAY = 86400

Series = Mapping[str, str]
"""Values by series, in promtool's notation: `0x9` is 0 ten times, `0+60x9` grows by 60."""


@dataclass(frozen=True)
class Case:
    """`fires` makes the alert fire after `minutes`, with `labels`; `quiet` does not."""

    fires: Series
    quiet: Series
    minutes: int
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


def addon(name: str, values: str, more: str = "", **of: str) -> Series:
    """From two API processes, which say the same."""
    return {
        f'holdfast_addon_{name}{{{ADDON}{more},instance="{instance}"}}': values
        for instance in ("a:8585", "b:8585")
    }


def archive(name: str, values: str, **others: str) -> Series:
    """One gauge of an archive, and others by name."""
    gauges = {name: values, **others}
    return {
        series: text
        for gauge, numbers in gauges.items()
        for series, text in addon(f"archive_{gauge}", numbers).items()
    }


def ended(completed: int, failed: int) -> Series:
    return {
        f'holdfast_operations_ended_last_hour{{kind="backup",outcome="{outcome}"}}': f"{count}x20"
        for outcome, count in (("completed", completed), ("failed", failed))
    }


def latency(seconds: int) -> Series:
    """Of one call a minute."""
    call = '{store="offsite",call="get"}'
    return {
        f"holdfast_store_call_seconds_sum{call}": f"0+{seconds}x60",
        f"holdfast_store_call_seconds_count{call}": "0+1x60",
    }


UP = 'up{job="holdfast-api",instance="a:8585"}'
ERRORS = 'holdfast_store_errors_total{store="offsite",error="store.unavailable"}'
STILL = {"holdfast_worker_nodes": "1x60"}
STORE = {"store": "offsite"}

CASES: Mapping[str, Case] = {
    "HoldfastDown": Case(
        {UP: "0x5"}, {UP: "0 0 1 1 1 1"}, 4, {"job": "holdfast-api", "instance": "a:8585"}
    ),
    "HoldfastMetricsAbsent": Case({UP: "1x20"}, STILL, 10),
    "HoldfastDeliveriesWait": Case(
        {'holdfast_deliveries_oldest_wait_seconds{channel="mail"}': "0+60x40"},
        {'holdfast_deliveries_oldest_wait_seconds{channel="mail"}': "0 60 120 0 0 60 0x20"},
        25,
        {"channel": "mail"},
    ),
    "HoldfastNoWorkers": Case({"holdfast_worker_nodes": "0x5"}, STILL, 4),
    "HoldfastWorkerSilent": Case(
        {'holdfast_worker_silence_seconds{node="one"}': "0+60x9"},
        {'holdfast_worker_silence_seconds{node="one"}': "1x9"},
        6,
        {"node": "one"},
    ),
    "HoldfastSchedulerSilent": Case(
        {"holdfast_scheduler_overdue_seconds": "0+60x20"},
        {"holdfast_scheduler_overdue_seconds": "0 60 120 180 240 0 0 0 0 0 0"},
        10,
    ),
    "HoldfastAddonUnprotected": Case(
        addon("state", "1x30", ',state="no plan"'),
        {
            **addon("state", "1x5 _x30", ',state="unprotected"'),
            **addon("state", "_x5 1x30", ',state="protected"'),
        },
        20,
        {**AT, "state": "no plan"},
    ),
    "HoldfastAddonAtRisk": Case(
        addon("state", "1x90", ',state="at risk"'),
        addon("state", "1x90", ',state="protected"'),
        70,
        AT,
    ),
    "HoldfastBackupTooOld": Case(
        {
            **addon("last_recoverable_age_seconds", "87000+60x20"),
            **addon("objective_max_age_seconds", "87300x20"),
        },
        {
            **addon("last_recoverable_age_seconds", "87000+60x20"),
            **addon("objective_max_age_seconds", "87300x20"),
            **addon("state", "1x20", ',state="paused"'),
        },
        15,
        AT,
    ),
    # The time of these tests begins in 1970.
    "HoldfastRestoreNotProven": Case(
        {
            **addon("first_recoverable_timestamp_seconds", f"{-31 * DAY}x90"),
            **addon("objective_proven_within_seconds", f"{30 * DAY}x90"),
        },
        {
            **addon("first_recoverable_timestamp_seconds", f"{-31 * DAY}x90"),
            **addon("last_proven_restore_timestamp_seconds", f"{-29 * DAY}x90"),
            **addon("objective_proven_within_seconds", f"{30 * DAY}x90"),
        },
        80,
        AT,
    ),
    "HoldfastDrillFailed": Case(
        addon("last_drill", "1x5", ',verdict="failed"'),
        addon("last_drill", "1x5", ',verdict="inconclusive"'),
        3,
        AT,
    ),
    "HoldfastCopyLost": Case(addon("lost_copies", "1x20"), addon("lost_copies", "0x20"), 15, AT),
    "HoldfastArchiveLags": Case(
        archive("at_stake_seconds", "8 300+60x9", interval_seconds="10x10"),
        archive("at_stake_seconds", "8 300 10 10 300+60x6", interval_seconds="60x10"),
        4,
        AT,
    ),
    "HoldfastArchiveStopped": Case(
        addon("archive_state", "1x9", ',state="waiting"'),
        {
            **addon("archive_state", "1x4 stale", ',state="starting"'),
            **addon("archive_state", "_x4 1x9", ',state="streaming"'),
        },
        8,
        {**AT, "state": "waiting"},
    ),
    "HoldfastArchiveGap": Case(archive("gaps", "1x60 2x30"), archive("gaps", "2x30 1x60"), 75, AT),
    "HoldfastArchiveWindowEnded": Case(
        archive("unreached_seconds", "3000+60x20"),
        archive("unreached_seconds", "3000+60x9 0x9"),
        14,
        AT,
    ),
    "HoldfastArchiveSlackLow": Case(
        archive("slack_bytes", "300 240x5", slack_limit_bytes="1000x5"),
        archive("slack_bytes", "240 260x5", slack_limit_bytes="1000x5"),
        3,
        AT,
    ),
    "HoldfastQueueWaits": Case(
        {'holdfast_queue_oldest_wait_seconds{lane="any"}': "1500+60x20"},
        {
            'holdfast_queue_oldest_wait_seconds{lane="drills"}': "1500+60x20",
            'holdfast_queue_oldest_wait_seconds{lane="any"}': "5x20",
        },
        15,
        {"lane": "any"},
    ),
    "HoldfastOperationsFail": Case(ended(5, 3), ended(50, 3), 10, {"kind": "backup"}),
    "HoldfastStoreErrors": Case(
        {ERRORS: "0+1x30"}, {ERRORS: "0x5 1x25"}, 20, {**STORE, "error": "store.unavailable"}
    ),
    "HoldfastStoreSlow": Case(latency(8), latency(1), 45, {**STORE, "call": "get"}),
}


def a_test(alert: str, series: Series, minutes: int, expected: list[dict[str, Any]]) -> Any:
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [
            {"eval_time": f"{minutes}m", "alertname": alert, "exp_alerts": expected}
        ],
    }


def test_every_rule_fires_and_does_not(tmp_path: Path) -> None:
    """Sentences for people are left out: promtool would compare them word for word."""
    written = yaml.safe_load(RULES.read_text())
    for group in written["groups"]:
        for rule in group["rules"]:
            assert {"summary", "description"} == rule.pop("annotations").keys()
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(written))
    tests: list[Any] = []
    severities = {name: rule["labels"]["severity"] for name, rule in alerts().items()}
    assert CASES.keys() == severities.keys()
    for alert, case in CASES.items():
        labels = {**case.labels, "severity": severities[alert]}
        firing = a_test(alert, case.fires, case.minutes, [{"exp_labels": labels}])
        tests += [firing, a_test(alert, case.quiet, case.minutes, [])]
    suite = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(suite))
    promtool("test", "rules", str(tmp_path / "tests.yml"))


def test_rules_and_their_sentences_can_be_read() -> None:
    promtool("check", "rules", str(RULES))
