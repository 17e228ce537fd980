"""A worker that wakes up after others took over its backup destroys nothing of what they made."""

from typing import Any

import pytest

from fixtures.pauses import Installation, Pause, PausedStore
from holdfast.domain.errors import Failure
from holdfast.jobs.core.job import Job
from holdfast.jobs.core.runner import Runner


def assert_whole(installation: Installation) -> None:
    for status, objects, there in installation.backups():
        assert (status == "completed") == (objects is not None)
        assert (objects is None) or there


def test_what_is_cleaned_up_was_given_up_before(installation: Installation) -> None:
    """The first worker is paused in the middle of removing what it wrote."""
    installation.backup("dump")
    first, pause = installation.work(), Pause()
    store = PausedStore(installation.parts.store(None), pause)
    thread = installation.start(first, open_store=lambda pk: store)
    pause.await_it()
    installation.run(installation.take_over(first))
    assert installation.status(first.op) == "failed"
    installation.backup("dump")
    installation.run_all()
    pause.end(thread)
    assert [status for status, _, _ in installation.backups()] == ["failed", "completed"]
    assert_whole(installation)


def test_who_decides_too_late_to_clean_up_removes_nothing(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first worker is paused before it says that the backup failed; others complete it."""
    installation.backup("dump")
    first, pause = installation.work(), Pause()
    monkeypatch.setattr(Runner, "_decide", pause.before(Runner._decide))
    store = PausedStore(installation.parts.store(None), Pause())
    thread = installation.start(first, open_store=lambda pk: store)
    pause.await_it()
    installation.run(installation.take_over(first))
    pause.end(thread)
    assert [status for status, _, _ in installation.backups()] == ["completed"]
    assert_whole(installation)


def test_a_snapshot_that_others_publish_is_not_taken_back(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first worker's last step is in the row, but its answer got lost."""
    installation.backup("snapshot")
    first, pause, save = installation.work(), Pause(), Job.save
    failed: list[str] = []

    def lossy(job: Job, step: str, record: Any) -> None:
        save(job, step, record)
        if step == "seal" and not failed:
            failed.append(step)
            raise Failure("no answer")

    monkeypatch.setattr(Job, "save", lossy)
    monkeypatch.setattr(Runner, "_decide", pause.before(Runner._decide))
    thread = installation.start(first)
    pause.await_it()
    installation.run(installation.take_over(first))
    pause.end(thread)
    assert [status for status, _, _ in installation.backups()] == ["completed"]
    assert_whole(installation)


def test_a_verdict_is_carried_out_by_whoever_comes_next(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first worker dies when it has decided and before it has removed anything."""
    installation.backup("dump")
    first = installation.work()

    def dies(*_: Any) -> None:
        raise SystemExit

    store = PausedStore(installation.parts.store(None), Pause())
    with monkeypatch.context() as patched:
        patched.setattr(Runner, "_conclude", dies)
        with pytest.raises(SystemExit):
            installation.run(first, open_store=lambda pk: store)
    assert list(installation.parts.store(None).list("dumps/"))
    installation.run(installation.take_over(first))
    assert installation.status(first.op) == "failed"
    assert not list(installation.parts.store(None).list("dumps/"))
