"""Checks whether the snapshots of a repository are still whole.

The cheap check compares the packs that the index names with those that the store lists. If one is
missing or short, or if the check is thorough, the directories of the snapshots are read, and every
block of every file is looked up in the index. A flipped bit inside a pack shows only when the pack
is read: each store check reads a share of them, and again those that were spoiled before.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from holdfast.catalog.schema import Repository as Row
from holdfast.catalog.storage import copies, repositories
from holdfast.domain.errors import ObjectMissing, SealBroken, StoreUnavailable
from holdfast.domain.snapshot import NOTHING, Stretch
from holdfast.repositories.restic.repository import Repository
from holdfast.repositories.restic.upkeep.mending import missing_packs, spoiled_packs
from holdfast.usecases.snapshots.snapshot_repositories import snapshot_id
from holdfast.usecases.snapshots.snapshot_sources import lacking
from holdfast.usecases.toolbox import Toolbox

_MAX_CHECKS = 5
"""Pruning may replace packs and index objects while they are checked."""


@dataclass(frozen=True)
class CheckRequest:
    """The snapshots to check, and how. `stretch` selects the packs to read in whole."""

    names: Collection[str]
    thorough: bool
    stretch: Stretch = NOTHING


@dataclass(frozen=True)
class CheckResult:
    """The problem of each snapshot (None: whole), of spoiled packs and of other damaged objects.

    `spoiled` maps packs, `damaged` maps other objects that are not what was written to the problem.
    `spoiled` None: the repository could not be read, so nothing is known of its packs.
    """

    wrong: Mapping[str, str | None]
    spoiled: Mapping[str, str] | None = field(default_factory=dict[str, str])
    damaged: Mapping[str, str] = field(default_factory=dict[str, str])


def damage_of(tools: Toolbox, copy_pk: int) -> str | None:
    """The problem of a copy's snapshot; None: it is there and so is every block it needs.

    Raises StoreUnavailable and similar errors when that cannot be found out.
    """
    with tools.catalog.read() as session:
        copy = copies.get(session, copy_pk)
        row = copy and repositories.find(session, copy.addon_pk, copy.destination_pk)
        session.expunge_all()
    if copy is None or row is None:
        return "its repository is not known here"
    name = snapshot_id(copy)
    return check(tools, row, CheckRequest([name], thorough=True)).wrong[name]


def check(tools: Toolbox, row: Row, request: CheckRequest) -> CheckResult:
    """Checks the snapshots. Damage counts only if it is found again with an unchanged index."""
    why = ""
    for _ in range(_MAX_CHECKS):
        try:
            repository = tools.snapshot_repositories.of_row(row)
            suspects = set(row.spoiled or ())
            chosen = [
                name for name in repository.packs if name in suspects or request.stretch.holds(name)
            ]
            spoiled = spoiled_packs(repository, sorted(chosen), lambda _: None)
            wrong = _confirmed_damage(repository, request, spoiled)
            _, broken = repository.readable_snapshots()
            objects = {("snapshots", name): problem for name, problem in broken.items()}
            damaged = {
                repository.objects.key(kind, name): problem
                for (kind, name), problem in (objects | repository.damaged).items()
            }
            return CheckResult(wrong, spoiled, damaged)
        except (ObjectMissing, SealBroken) as error:
            why = f"its repository cannot be read: {error.message}"
    return CheckResult(dict.fromkeys(request.names, why), None)


def _confirmed_damage(
    repository: Repository, request: CheckRequest, spoiled: Mapping[str, str]
) -> dict[str, str | None]:
    problems = _damages(repository, request, spoiled)
    for _ in range(_MAX_CHECKS):
        if not any(problems.values()):
            return problems
        before = _indexes(repository)
        repository.reload()
        problems = _damages(repository, request, spoiled)
        if before == _indexes(repository):
            return problems
    raise StoreUnavailable("the index of the repository changes all the time")


def _indexes(repository: Repository) -> list[str]:
    return [name for name, _ in repository.objects.names("index")]


def _damages(
    repository: Repository, request: CheckRequest, spoiled: Mapping[str, str]
) -> dict[str, str | None]:
    bad = {**missing_packs(repository), **spoiled}
    present = {name for name, _ in repository.objects.names("snapshots")}
    problems: dict[str, str | None] = {}
    for name in request.names:
        if name not in present:
            problems[name] = f"{repository.objects.key('snapshots', name)} is missing"
        elif bad or request.thorough:
            try:
                problems[name] = lacking(repository, repository.snapshot(name).tree, bad)
            except (ObjectMissing, SealBroken) as error:
                problems[name] = error.message
        else:
            problems[name] = None
    return problems
