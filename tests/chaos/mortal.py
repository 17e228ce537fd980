"""`holdfast serve` that kills itself at one named point, `MORTAL_AT=kind:step:when`.

`when` is `before` (the step before it is saved), `during` (after the first megabyte) or `after`
(done but not saved). The step `publish` is the transaction that ends the operation.
"""

import dataclasses
import os
import signal
import threading
import time
from typing import Any

from holdfast import bootstrap
from holdfast.cli.main import main
from holdfast.domain.operation import Kind

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


def mortal(plan: Any, name: str, when: str) -> Any:
    if name == "publish":
        return dataclasses.replace(plan, publish=die)
    steps = [deadly(step, when) if step.name == name else step for step in plan.steps]
    assert any(step.name == name for step in plan.steps)
    return dataclasses.replace(plan, steps=steps)


if __name__ == "__main__":
    kind, step_name, moment = os.environ["MORTAL_AT"].split(":")
    plans = dict(bootstrap.PLANS)
    plans[Kind(kind)] = mortal(plans[Kind(kind)], step_name, moment)
    bootstrap.PLANS = plans
    main()
