"""How pages write sizes, durations, instants, and files of tables."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from holdfast.web.forms import Form
from holdfast.web.in_process import Answer
from holdfast.web.showing import charts, evidence, exports, words

NOON = 1_764_504_000_000  # 30 Nov 2025, 12:00 UTC


def plain(text: object) -> str:
    return str(text).replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (19_700_000_000, "19.7 GB"), (5e15, "5000 TB")],
)
def test_sizes(count: float, text: str) -> None:
    assert plain(words.size(count)) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (412, "0.4 s"),
        (66_000, "1 min 6 s"),
        (3_600_000, "1 h"),
        (93_600_000, "1 d 2 h"),
        (59_600, "1 min"),
    ],
)
def test_durations(ms: int, text: str) -> None:
    assert plain(words.duration(ms)) == text


def test_moments_are_as_short_as_they_can_be() -> None:
    hour = 3_600_000
    assert ">09:00<" in words.moment(NOON - 3 * hour, NOON)
    assert ">Sat\u00a012:00<" in words.moment(NOON - 24 * hour, NOON)
    assert ">31\u00a0Oct<" in words.moment(NOON - 30 * 24 * hour, NOON)
    assert ">30\u00a0Nov\u00a02024<" in words.moment(NOON - 365 * 24 * hour, NOON)
    assert 'datetime="2025-11-30T12:00:00.000Z"' in words.moment(NOON)


def test_schedules_in_words() -> None:
    weekly = {"interval": "weekly", "minute": [30], "hour": [3, 15], "day": [6]}
    assert words.schedule_times(weekly) == "Sunday at 03:30 and 15:30"
    assert words.schedule_times({"interval": "hourly", "minute": [0, 15, 30]}) == (
        "at :00, :15 and :30"
    )


def test_a_history_of_days() -> None:
    today = NOON - NOON % 86_400_000
    day: dict[str, Any] = {"start": today, "due": 24, "good": 23, "failed": 1, "missed": 0}
    bars = charts.history(json.dumps([day]), today)
    assert bars.count("<path") == 2
    assert 'class="p" d="M104 5h5v7h-5z' in bars


def test_a_scale_ends_at_a_round_number() -> None:
    assert charts.Scale.over([3, 812], 140).top == 1000
    assert charts.Scale.over([], 140).top == 1


def test_a_table_as_a_file_runs_nothing() -> None:
    rows = [{"name": "=HYPERLINK(1)", "count": 3}, {"name": "plain", "count": -4}]
    request: Any = SimpleNamespace(query_params={"format": "csv"})
    lines = bytes(exports.table(request, "x", rows).body).decode().splitlines()
    assert lines == ["name,count", "'=HYPERLINK(1),3", "plain,-4"]
    request = SimpleNamespace(query_params={"format": "json"})
    assert json.loads(bytes(exports.table(request, "x", rows).body)) == rows


def test_checks_are_summed_up() -> None:
    checks = [
        {"name": "read back of a.dump", "passed": True, "found": f"sha256 {'a' * 64}"},
        {"name": "read back of b.dump", "passed": False, "found": "other bytes"},
    ]
    (only,) = evidence.summed(checks)
    assert (only.title, only.passed) == ("Every byte was read back", False)
    assert only.text == "read back of b.dump: other bytes"


def test_problems_stand_at_their_fields() -> None:
    details = {
        "scheduling.minute[0]": "must be at most 59",
        "backupSchedules[1].retentionTime": "is required",
        "elsewhere": "is wrong",
    }
    document = {"error": {"message": "no", "details": details}}
    form = Form(known=("scheduling.minute", "retentionTime")).refuse(Answer(400, document))
    assert form.problem("scheduling.minute") == "must be at most 59"
    assert form.problem("retentionTime") == "is required"
    assert form.stray == {"elsewhere": "is wrong"}


def test_a_command_is_not_capitalised() -> None:
    text = "holdfast schedule create --daily gives it one; holdfast status names the reasons"
    assert words.sentence(text).startswith("holdfast schedule create")
    assert words.sentence("start one") == "Start one."
    assert str(words.advice(text)) == (
        "<code>holdfast schedule create --daily</code> gives it one; <code>holdfast status</code>"
        " names the reasons."
    )
    assert str(words.advice("`a <b>` or c & d")) == "<code>a &lt;b&gt;</code> or c &amp; d."
    assert str(words.advice("it is a fault of Holdfast")) == "It is a fault of Holdfast."
