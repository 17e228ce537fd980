"""Asks a child about a file, so that whatever the question does ends with the child.

SQLite runs in the process that asks, and some of its functions cannot be interrupted. `asking.py`
says what the child refuses.
"""

import json
import sys
import threading
from pathlib import Path

from holdfast.contracts.drills import Assertion
from holdfast.domain.evidence import Check
from holdfast.engines import drill_answers
from holdfast.engines.sqlite.client.location import UNSAFE_FUNCTIONS
from holdfast.engines.sqlite.drills import asking
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.pipes import write_all
from holdfast.kit.processes.process import PIPE, Child, Command

_GRACE_SECONDS = 2.0  # the child's own start, and an end that it chooses itself


def assert_true(path: Path, assertion: Assertion, guard: Guard) -> Check:
    question = {
        "path": str(path),
        "text": assertion.text,
        "seconds": assertion.seconds,
        "unsafe": sorted(UNSAFE_FUNCTIONS),
    }
    child = Child(Command([sys.executable, "-I", str(Path(asking.__file__))]), stdin=PIPE)
    overdue = threading.Event()

    def end() -> None:
        overdue.set()
        child.kill()

    release = guard.adopt(child.kill)
    timer = threading.Timer(assertion.seconds + _GRACE_SECONDS, end)
    timer.start()
    try:
        with child.stdin as pipe:
            write_all(pipe, json.dumps(question).encode())
        output = child.stdout.read()
        finished = child.wait()
    except OSError:
        output, finished = b"", child.wait()
    finally:
        timer.cancel()
        release()
        child.close()
    guard.check()
    if overdue.is_set():
        return drill_answers.too_long(assertion)
    if finished.status != 0:
        last = finished.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        return drill_answers.fails(assertion, f"it needs too much memory or room: {last[0]}")
    return _judged(assertion, json.loads(output))


def _judged(assertion: Assertion, answer: dict[str, object]) -> Check:
    if "value" in answer:
        return drill_answers.answered(assertion, answer["value"])
    if answer["kind"] in _WITHOUT_MESSAGE:
        return drill_answers.stopped(assertion, _WITHOUT_MESSAGE[str(answer["kind"])])
    if answer["kind"] == "time":
        return drill_answers.too_long(assertion)
    return _KINDS[str(answer["kind"])](assertion, str(answer["error"]))


_WITHOUT_MESSAGE = {"no-row": drill_answers.NO_ROW, "several": drill_answers.SEVERAL}
_KINDS = {
    "writes": drill_answers.writes,
    "reaches-out": drill_answers.reaches_out,
    "invalid": drill_answers.invalid,
    "fails": drill_answers.fails,
}
