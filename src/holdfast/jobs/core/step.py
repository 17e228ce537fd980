"""The shape of a job: steps that each take a record and return the next one.

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
    """One step. `says` describes it in the log and in the progress."""

    name: str
    says: str
    work: Callable[[Job, R], R]


@dataclass(frozen=True)
class Plan(Generic[R]):
    """How one kind of operation is carried out.

    `publish` makes the result visible, inside the transaction that ends the operation; `failed`
    records the consequences of a failure there, by default none. `clean` removes the leftovers of
    an unsuccessful operation and returns the state as a sentence. It may be repeated, by several
    workers at once and long after the end: so it touches only the operation's own objects, or holds
    a lock of this machine and checks inside that it may still clean (`Job.holding`). `writes` marks
    plans that change a customer's database: their worker gives them up when it loses the catalogue,
    before another one may start.
    """

    record: type[R]
    steps: Sequence[Step[R]]
    publish: Callable[[WriteSession, Job, R], None]
    clean: Callable[[Job, R], str]
    writes: bool = False
    failed: Callable[[WriteSession, Job, R], None] = lambda session, job, record: None  # noqa: ARG005


def remaining(plan: Plan[R], saved_step: str | None) -> Sequence[Step[R]]:
    """The steps after the last saved one; all if none was saved."""
    names = [step.name for step in plan.steps]
    return plan.steps if saved_step is None else plan.steps[names.index(saved_step) + 1 :]
