"""A worker that wakes up after others finished its restore touches nothing of what came since."""

import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from fixtures.stepped_installation import Pause, SteppedInstallation
from holdfast.catalog import addons
from holdfast.catalog.schema import Addon, Operation
from holdfast.contracts.local_servers import LocalServer
from holdfast.contracts.queue import Dispatch
from holdfast.domain.errors import FencedOff
from holdfast.domain.operation import Kind
from holdfast.engines.sqlite.imports import load
from holdfast.engines.sqlite.physical import file_copy
from holdfast.engines.sqlite.restore import restore
from holdfast.jobs.core.job import Job
from holdfast.jobs.hosting.lifecycle import LIFECYCLE, LifecycleRecord
from holdfast.jobs.snapshots import restore_in_place
from holdfast.kit.clock import SystemClock
from holdfast.kit.processes.guard import Guard
from holdfast.kit.seal import Secret
from holdfast.usecases.hosting import managed_servers
from holdfast.usecases.hosting.server_control import ServerControl


@pytest.fixture(params=["dump", "snapshot"])
def restoring_one(
    request: pytest.FixtureRequest, stepped_installation: SteppedInstallation
) -> Dispatch:
    """A restore of three rows over other data that has come since."""
    backup = stepped_installation.backup(request.param)
    stepped_installation.run_all()
    stepped_installation.sql("INSERT INTO t VALUES ('later')")
    stepped_installation.restore(backup)
    return stepped_installation.work()


def test_who_comes_late_to_the_swap_overwrites_nothing(
    stepped_installation: SteppedInstallation,
    restoring_one: Dispatch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pause = Pause()
    monkeypatch.setattr(restore, "_exclusive", pause.before(restore._exclusive))
    thread = stepped_installation.start(restoring_one)
    pause.await_it()
    stepped_installation.run(stepped_installation.take_over(restoring_one))
    assert stepped_installation.status(restoring_one.op) == "completed"
    assert stepped_installation.sql("SELECT count(*) FROM t") == [(3,)]
    stepped_installation.sql("INSERT INTO t VALUES ('after the restore')")
    pause.end(thread)
    assert stepped_installation.sql("SELECT count(*) FROM t") == [(4,)]


def test_who_is_paused_in_the_swap_keeps_others_waiting(
    stepped_installation: SteppedInstallation,
    restoring_one: Dispatch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever goes on before it ended could not know whether the content is replaced again."""
    pause = Pause()
    monkeypatch.setattr(file_copy, "replace", pause.before(file_copy.replace))
    first = stepped_installation.start(restoring_one)
    pause.await_it()
    second = stepped_installation.start(stepped_installation.take_over(restoring_one))
    second.join(1)
    assert stepped_installation.status(restoring_one.op) == "in-progress"
    pause.end(first)
    second.join(120)
    assert stepped_installation.status(restoring_one.op) == "completed"
    stepped_installation.sql("INSERT INTO t VALUES ('after the restore')")
    assert stepped_installation.sql("SELECT count(*) FROM t") == [(4,)]


def test_who_goes_on_staging_writes_into_its_own(
    stepped_installation: SteppedInstallation, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = stepped_installation.backup("dump")
    stepped_installation.run_all()
    stepped_installation.restore(backup)
    what, pause = stepped_installation.work(), Pause()
    monkeypatch.setattr(load, "load", pause.before(load.load))
    thread = stepped_installation.start(what)
    pause.await_it()
    stepped_installation.run(stepped_installation.take_over(what))
    pause.end(thread)
    assert stepped_installation.status(what.op) == "completed"
    assert stepped_installation.sql("SELECT x FROM t ORDER BY x") == [(1,), (2,), (3,)]


# Directories of a server: whoever waited at the lock while others did the work does nothing.


def a_job(stepped_installation: SteppedInstallation, kind: Kind, fence: int) -> Job:
    """Of an attempt, while the second one holds the operation."""
    with stepped_installation.parts.catalog.write() as session:
        addon: Addon = session.scalars(select(Addon)).one()
        addon.managed = True
        session.add(
            Operation(
                id="op", addon_pk=addon.pk, kind=kind, lane="node", priority=1,
                status="in-progress", slot=1, fence=2, attempt=2, arguments={}, record={},
                created=1,
            )
        )  # fmt: skip
        session.flush()
        addons.get(session, addon.pk)
        session.expunge_all()
    guard = Guard(SystemClock())
    return Job(stepped_installation.parts.toolbox, Dispatch("op", fence), addon, {}, guard)


@pytest.mark.parametrize(("fence", "destroys"), [(1, False), (2, True)])
def test_who_comes_late_to_a_reset_destroys_no_new_data(
    stepped_installation: SteppedInstallation,
    fence: int,
    destroys: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job, destroyed = a_job(stepped_installation, Kind.RESET, fence), list[int]()
    monkeypatch.setattr(managed_servers, "destroy", lambda tools, addon: destroyed.append(1))
    step, ended = LIFECYCLE[Kind.RESET].steps[0], list[BaseException]()

    def reset() -> None:
        try:
            step.work(job, LifecycleRecord())
        except FencedOff as error:
            ended.append(error)

    with managed_servers.held(job.tools, job.addon):  # others are at it
        thread = threading.Thread(target=reset)
        thread.start()
        thread.join(0.2)
        assert destroyed == []
    thread.join(60)
    assert (destroyed == [1], ended == []) == (destroys, destroys)


def a_seat(home: Path, **more: Any) -> ServerControl:
    place = LocalServer(home / "data", 1, "15", "u", Secret(""), "d")
    return ServerControl(
        place, home, True, lambda: False, lambda: None, lambda: None,
        lambda tree: managed_servers.remove(None, tree), **more,
    )  # fmt: skip


@pytest.mark.parametrize("fence", [1, 2])
def test_who_comes_late_to_a_restore_in_place_clears_nothing(
    stepped_installation: SteppedInstallation, tmp_path: Path, fence: int
) -> None:
    job, home = a_job(stepped_installation, Kind.RESTORE_IN_PLACE, fence), tmp_path / "home"
    for name in ("data", "restore-op.1/data", "restore-op.2/data", "restore-other/tablespaces"):
        (home / name).mkdir(parents=True)
    before = sorted(home.rglob("*"))
    if fence == 1:
        with pytest.raises(FencedOff):
            restore_in_place.clear_room(job, a_seat(home), gives_up=True)
        assert [path for path in sorted(home.rglob("*")) if path.name != "lock"] == before
    else:
        restore_in_place.clear_room(job, a_seat(home), gives_up=False)
        assert not (home / "restore-op.1").exists()
        assert (home / "restore-other" / "tablespaces").exists()
        assert list((home / "restore-op.2").iterdir()) == []
        assert (home / "data").exists()


def test_who_comes_late_to_the_end_of_a_restore_puts_nothing_back(
    stepped_installation: SteppedInstallation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others have cleaned up, and another restore is in place by now."""
    job, home = a_job(stepped_installation, Kind.RESTORE_IN_PLACE, 1), tmp_path / "home"
    (home / "data").mkdir(parents=True)
    (home / "restore-op.1" / "before").mkdir(parents=True)
    monkeypatch.setattr(restore_in_place, "control_of", lambda tools, addon: a_seat(home))
    with pytest.raises(FencedOff):
        restore_in_place.RESTORE_IN_PLACE.clean(
            job, restore_in_place.InPlaceRecord(was="14", staged=1)
        )
    assert (home / "data").exists()
    assert (home / "restore-op.1" / "before").exists()
    assert job.addon.version != "14"
