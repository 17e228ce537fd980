"""Judges a restored server: its own checks, its content against the backup's, and assertions."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from holdfast.contracts.drills import Assertable, Content, ContentReadable, SelfChecking
from holdfast.contracts.engine import EVERYTHING, Member
from holdfast.domain.backup import FILES, BackupType
from holdfast.domain.errors import EvidenceMissing, NotSupported
from holdfast.domain.evidence import Check
from holdfast.domain.proof import drill
from holdfast.domain.proof.drill import Finding, Verdict
from holdfast.jobs.drills.restored import Restored, attempt_of
from holdfast.jobs.drills.trial import Trial
from holdfast.jobs.dumps import stored_dump

_CHUNK_BYTES = 1 << 20


def judge_data(trial: Trial, restored: Restored) -> None:
    """Lets the server check its data while what it holds is compared with the backup."""

    def check() -> Sequence[Check]:
        if not isinstance(restored.engine, SelfChecking):
            return ()
        with trial.timed("checks"):
            return restored.engine.check_data(restored.address, trial.job.guard)

    with ThreadPoolExecutor(1, "checks") as pool:
        checks = pool.submit(check)
        try:
            _compare_content(trial, restored)
        finally:  # what cannot be read is named by the server's checks
            trial.add_checks(*checks.result())


def _compare_content(trial: Trial, restored: Restored) -> None:
    """Dumps the restored data again and compares it, table by table, with what the backup holds.

    An independent path: the restore wrote with the loader, this reads with the dumper, and the two
    texts are compared without the manifest. Of snapshots every block was compared on its way, and
    imported files were written by other tools.
    """
    engine = restored.engine
    if not trial.plan.compare_content or trial.backup.type == BackupType.SNAPSHOT:
        return
    if trial.backup.source in FILES:
        return
    if not isinstance(engine, ContentReadable):
        return
    with trial.timed("content"):
        try:
            contents = _contents(trial, restored, engine)
        except NotSupported as error:  # says so of some formats only when it sees them
            trial.job.say(f"the content is not compared: {error.message}")
            return
        except EvidenceMissing as error:  # what was fetched was proven before
            trial.add_inconclusive("the content can be compared", error.message)
            return
        for database, (of_backup, of_server) in contents.items():
            suffix = f" of {database}" if database else ""
            name = f"the content{suffix} is the backup's"
            trial.add(drill.same_content(of_backup, of_server, name))


_ContentPair = tuple[dict[str, Content], dict[str, Content]]
"""The content of the backup, and that of the restored server."""


def _contents(
    trial: Trial, restored: Restored, engine: ContentReadable
) -> Mapping[str, _ContentPair]:
    """Reads both contents of each database that is in either."""
    job, pairs = trial.job, defaultdict[str, _ContentPair](lambda: ({}, {}))
    source_of_backup = stored_dump.source_of(job, trial.backup)
    fetch = stored_dump.fetcher(job, source_of_backup, trial.manifest)
    for entry in trial.manifest["members"]:
        member = Member(entry["name"], entry["format"], entry["database"])
        of_backup, _ = pairs[member.database or ""]
        of_backup.update(engine.content(member, fetch(member.name)))
    attempt = attempt_of(trial)
    with engine.dump(restored.address, EVERYTHING, attempt, job.guard) as session:
        for member in session.members:
            source = session.open(member)
            try:
                plain = _read(source.read, job.moved)
                _, of_server = pairs[member.database or ""]
                of_server.update(engine.content(member, plain))
                source.finish()
            finally:
                source.close()
    return {database: pair for database, pair in pairs.items() if any(pair)}


def _read(read: Callable[[int], bytes], moved: Callable[[int], None]) -> Iterator[bytes]:
    while chunk := read(_CHUNK_BYTES):
        moved(len(chunk))
        yield chunk


def ask_assertions(trial: Trial, restored: Restored) -> None:
    """Asks what the addon's owner wants to be true."""
    if not trial.assertions:
        return
    if not isinstance(restored.engine, Assertable):
        trial.add_inconclusive("assertions", f"{restored.engine.title} answers none")
        return
    with trial.timed("assertions"):
        for assertion in trial.assertions:
            check = restored.engine.assert_true(restored.address, assertion, trial.job.guard)
            verdict = Verdict.PASSED if check.passed else Verdict.FAILED
            trial.add(Finding(f"assertion {assertion.name}", verdict, check.found))
