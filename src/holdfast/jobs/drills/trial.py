"""Trial: one drill while it goes on. What it found, and how long each part took."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from holdfast.catalog.schema import Backup, Document
from holdfast.contracts.drills import Assertion
from holdfast.domain.evidence import Check
from holdfast.domain.proof.drill import Finding, Plan, Verdict, of_check
from holdfast.jobs.core.job import Job


@dataclass
class Trial:
    """`times` in ms by name: `fetch` waiting for the store, `load` the restore until the server
    answers, with the replay of the log, `firstQuery`, `restore` all of that, but for `server`,
    making an empty one; `checks`, `content` and `assertions` are what the drill adds to it."""

    job: Job
    backup: Backup
    plan: Plan
    assertions: list[Assertion]
    findings: list[Finding] = field(default_factory=list[Finding])
    times: dict[str, int] = field(default_factory=dict[str, int])
    version: str = ""
    size: int = 0
    manifest: Document = field(default_factory=Document)
    """Of a dump, once it was read."""

    def add(self, *findings: Finding) -> None:
        for finding in findings:
            self.job.say(f"{finding.verdict}: {finding.name}: {finding.found}")
            # Without what no database stores as text: halves of characters, and NUL.
            text = finding.found.encode(errors="replace").decode().replace("\0", "\ufffd")
            self.findings.append(replace(finding, found=text))

    def add_checks(self, *checks: Check) -> None:
        self.add(*map(of_check, checks))

    def add_inconclusive(self, name: str, found: str) -> None:
        self.add(Finding(name, Verdict.INCONCLUSIVE, found))

    @contextmanager
    def timed(self, name: str) -> Generator[None]:
        began = self.job.tools.clock.monotonic()
        try:
            yield
        finally:
            self.took(name, self.job.tools.clock.monotonic() - began)

    def took(self, name: str, seconds: float) -> None:
        """Adds to a time."""
        self.times[name] = self.times.get(name, 0) + round(seconds * 1000)
