"""`holdfast serve` that kills itself at one named point, `MORTAL_AT=kind:step:when`.

`when` is `before` (the step before it is saved), `during` (after the first megabyte) or `after`
(done but not saved). The step `publish` is the transaction that ends the operation. For the step
`move`, `when` is a number: it dies right after so many renames of data directories. The kind
`forget` is the removal of what was deleted, which no operation does. With
`MORTAL_START=fail` no server that was put in place by a restore ever answers. With
`MORTAL_FREE=bytes` restores find so much room on the disk; with `MORTAL_FETCH=fail` they cannot
write a file. When `when` is `held` it does not die: the step waits before its work, as `*` every
step does, as long as there is a file of its name in the directory `MORTAL_HELD`.
"""

import dataclasses
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from holdfast.bootstrap import processes
from holdfast.cli.main import main
from holdfast.daemons import pruner
from holdfast.domain.errors import AddonUnavailable
from holdfast.domain.operation import Kind
from holdfast.jobs.snapshots import data_directories, restore_in_place, stored_snapshot
from holdfast.usecases.hosting import managed_servers
from holdfast.usecases.toolbox import home_of

MEGABYTE = 1 << 20


def die(*_: object) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def die_when_moving(job: Any) -> None:
    def watch() -> None:
        while job.guard.bytes_done < MEGABYTE:
            time.sleep(0.0005)
        die()

    threading.Thread(target=watch, daemon=True).start()


def deadly(step: Any, when: str) -> Any:
    def work(job: Any, record: Any) -> Any:
        if when == "before":
            die()
        if when == "during":
            die_when_moving(job)
        step.work(job, record)
        return die()

    return dataclasses.replace(step, work=work)


def held(step: Any) -> Any:
    file = Path(os.environ["MORTAL_HELD"]) / step.name

    def work(job: Any, record: Any) -> Any:
        while file.exists():
            job.guard.wait(0.05)
        return step.work(job, record)

    return dataclasses.replace(step, work=work)


def die_after_move(last: int) -> None:
    """Notes that are put in place are moves, too."""
    done, real = itertools.count(1), data_directories.durable

    def counted(change: Callable[..., None]) -> Callable[..., None]:
        def changed(*words: Any) -> None:
            change(*words)
            if next(done) == last:
                die()

        return changed

    changes = {"move": counted(real.move), "write": counted(real.write)}
    vars(data_directories)["durable"] = SimpleNamespace(**{**vars(real), **changes})


def die_when_forgetting(when: str) -> None:
    remove = pruner.remove

    def deadly_remove(store: Any, prefix: str) -> None:
        if when == "before":
            die()
        remove(store, prefix)
        die()

    pruner.remove = deadly_remove


def never_answer() -> None:
    """Only what a restore put in place: its own directory is the one without `data`."""
    start = managed_servers.start

    def refuse(tools: Any, addon: Any, wait: Any) -> bool:
        home = home_of(tools.data_dir, addon.uid)
        if any((tree / "before").exists() for tree in home.glob(f"{managed_servers.BESIDE}*")):
            start(tools, addon, wait)
            raise AddonUnavailable("the server does not answer in this test")
        return start(tools, addon, wait)

    managed_servers.start = refuse


def be_cramped(free: int) -> None:
    usage = restore_in_place.shutil.disk_usage
    restore_in_place.shutil.disk_usage = lambda path: usage(path)._replace(free=free)


def never_write() -> None:
    def refuse(*_: Any) -> Any:
        raise OSError("the disk does not write in this test")

    stored_snapshot.materialise = refuse


def mortal(plan: Any, name: str, when: str) -> Any:
    if name == "publish":
        return dataclasses.replace(plan, publish=die)
    if when == "held":
        chosen = [held(step) if name in ("*", step.name) else step for step in plan.steps]
        return dataclasses.replace(plan, steps=chosen)
    steps = [deadly(step, when) if step.name == name else step for step in plan.steps]
    assert any(step.name == name for step in plan.steps)
    return dataclasses.replace(plan, steps=steps)


if __name__ == "__main__":
    kind, step_name, moment = os.environ["MORTAL_AT"].split(":")
    if os.environ.get("MORTAL_START") == "fail":
        never_answer()
    if "MORTAL_FREE" in os.environ:
        be_cramped(int(os.environ["MORTAL_FREE"]))
    if os.environ.get("MORTAL_FETCH") == "fail":
        never_write()
    if step_name == "move":
        die_after_move(int(moment))
    elif kind == "forget":
        die_when_forgetting(moment)
    elif step_name != "nowhere":
        plans = dict(processes.PLANS)
        plans[Kind(kind)] = mortal(plans[Kind(kind)], step_name, moment)
        processes.PLANS = plans
    main()
