"""A worker that wakes up after others took over its backup destroys nothing of what they made."""

from typing import Any

import pytest

from fixtures.stepped_installation import Pause, PausedStore, SteppedInstallation
from holdfast.domain.errors import Failure
from holdfast.jobs.core.job import Job
from holdfast.jobs.core.runner import Runner


def assert_whole(stepped_installation: SteppedInstallation) -> None:
    for status, objects, there in stepped_installation.backups():
        assert (status == "completed") == (objects is not None)
        assert (objects is None) or there


def test_what_is_cleaned_up_was_given_up_before(stepped_installation: SteppedInstallation) -> None:
    """The first worker is paused in the middle of removing what it wrote."""
    stepped_installation.backup("dump")
    first, pause = stepped_installation.work(), Pause()
    store = PausedStore(stepped_installation.parts.store(None), pause)
    thread = stepped_installation.start(first, open_store=lambda pk: store)
    pause.await_it()
    stepped_installation.run(stepped_installation.take_over(first))
    assert stepped_installation.status(first.op) == "failed"
    stepped_installation.backup("dump")
    stepped_installation.run_all()
    pause.end(thread)
    assert [status for status, _, _ in stepped_installation.backups()] == ["failed", "completed"]
    assert_whole(stepped_installation)


def test_who_decides_too_late_to_clean_up_removes_nothing(
    stepped_installation: SteppedInstallation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first worker is paused before it says that the backup failed; others complete it."""
    stepped_installation.backup("dump")
    first, pause = stepped_installation.work(), Pause()
    monkeypatch.setattr(Runner, "_decide", pause.before(Runner._decide))
    store = PausedStore(stepped_installation.parts.store(None), Pause())
    thread = stepped_installation.start(first, open_store=lambda pk: store)
    pause.await_it()
    stepped_installation.run(stepped_installation.take_over(first))
    pause.end(thread)
    assert [status for status, _, _ in stepped_installation.backups()] == ["completed"]
    assert_whole(stepped_installation)


def test_a_snapshot_that_others_publish_is_not_taken_back(
    stepped_installation: SteppedInstallation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first worker's last step is in the row, but its answer got lost."""
    stepped_installation.backup("snapshot")
    first, pause, save = stepped_installation.work(), Pause(), Job.save
    failed: list[str] = []

    def lossy(job: Job, step: str, record: Any) -> None:
        save(job, step, record)
        if step == "seal" and not failed:
            failed.append(step)
            raise Failure("no answer")

    monkeypatch.setattr(Job, "save", lossy)
    monkeypatch.setattr(Runner, "_decide", pause.before(Runner._decide))
    thread = stepped_installation.start(first)
    pause.await_it()
    stepped_installation.run(stepped_installation.take_over(first))
    pause.end(thread)
    assert [status for status, _, _ in stepped_installation.backups()] == ["completed"]
    assert_whole(stepped_installation)


def test_a_verdict_is_carried_out_by_whoever_comes_next(
    stepped_installation: SteppedInstallation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first worker dies when it has decided and before it has removed anything."""
    stepped_installation.backup("dump")
    first = stepped_installation.work()

    def dies(*_: Any) -> None:
        raise SystemExit

    store = PausedStore(stepped_installation.parts.store(None), Pause())
    with monkeypatch.context() as patched:
        patched.setattr(Runner, "_conclude", dies)
        with pytest.raises(SystemExit):
            stepped_installation.run(first, open_store=lambda pk: store)
    assert list(stepped_installation.parts.store(None).list("dumps/"))
    stepped_installation.run(stepped_installation.take_over(first))
    assert stepped_installation.status(first.op) == "failed"
    assert not list(stepped_installation.parts.store(None).list("dumps/"))
