"""The shape of a job: steps that each take a record and give the next one.

The runner saves the record after each step, so a worker may die between any two lines and the
next one goes on with the first step that was not saved.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel

from holdfast.catalog.database.session import WriteSession
from holdfast.jobs.core.job import Job

R = TypeVar("R", bound=BaseModel)


@dataclass(frozen=True)
class Step(Generic[R]):
    """One step. `says` is what the log and the progress call it."""

    name: str
    says: str
    work: Callable[[Job, R], R]


def _nothing_follows(session: WriteSession, job: Job, record: BaseModel) -> None:
    """Of most failures nothing follows but their reason."""


@dataclass(frozen=True)
class Plan(Generic[R]):
    """All of one kind of operation.

    `publish` makes the result visible, inside the transaction that ends the operation; `failed`
    says in the same place what follows from an unsuccessful end. `clean` removes what an
    unsuccessful operation left behind and says what state things are in. It may be repeated, also
    by several at once and long after the end: so it touches only what is the operation's own, or
    holds a lock of this machine and makes sure inside of it that it is still to clean
    (`Job.holding`). `writes` marks plans that change a customer's database: their worker gives
    them up when it loses the catalogue, before another one may start.
    """

    record: type[R]
    steps: Sequence[Step[R]]
    publish: Callable[[WriteSession, Job, R], None]
    clean: Callable[[Job, R], str]
    writes: bool = False
    failed: Callable[[WriteSession, Job, R], None] = _nothing_follows


def remaining(plan: Plan[R], saved_step: str | None) -> Sequence[Step[R]]:
    """The steps after the last saved one; all of them when nothing was saved."""
    names = [step.name for step in plan.steps]
    return plan.steps if saved_step is None else plan.steps[names.index(saved_step) + 1 :]
