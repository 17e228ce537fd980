"""Lets a server check its own tables, in every user database.

CHECK TABLE runs no code of an owner's: columns are computed by built-in functions only. Views have
no data, and tables whose engine keeps rows elsewhere are left out, because to open one reaches for
that other server or file.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from holdfast.contracts.engine import Address
from holdfast.domain.evidence import Check
from holdfast.engines.drill_answers import listed
from holdfast.engines.mysql.client import facts
from holdfast.engines.mysql.client.address import connect
from holdfast.engines.mysql.client.connection import Session, as_text, quote_qualified
from holdfast.engines.mysql.client.server_errors import translated
from holdfast.kit.processes.guard import Guard

_SOUND = ("OK", "Table is already up to date")
_NO_CHECK = "doesn't support check"
_UPGRADE = "upgrade required"


def check_data(address: Address, guard: Guard) -> Sequence[Check]:
    """One check per database."""
    with translated(guard), connect(address) as session:
        release = guard.adopt(session.cut)
        try:
            checks: list[Check] = []
            for database in [str(database["name"]) for database in facts.databases(session)]:
                findings = _Findings()
                for table in facts.tables(session, database):
                    guard.check()
                    guard.moved(0)
                    if table["type"] in facts.TABLE_TYPES:
                        findings.check_table(session, database, table)
                sentences = "; ".join(findings.sentences())
                passed = not findings.damage
                checks.append(Check(f"CHECK TABLE of {database}", passed, sentences))
            return checks
        finally:
            release()


@dataclass
class _Findings:
    """What was found in one database; `unchecked`: tables by why they were not checked."""

    checked: int = 0
    damage: list[str] = field(default_factory=list[str])
    unchecked: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def check_table(self, session: Session, database: str, table: Mapping[str, str]) -> None:
        name, engine = table["name"], table["engine"]
        if engine in (*facts.NO_DATA, ""):
            reason = f"rows of engine {engine or 'unknown'} are elsewhere"
            self.unchecked.setdefault(reason, []).append(name)
            return
        answers = session.rows(f"CHECK TABLE {quote_qualified(database, name)} EXTENDED")
        texts = [(as_text(answer[2]).lower(), as_text(answer[3])) for answer in answers]
        if any(_NO_CHECK in text for _, text in texts):
            self.unchecked.setdefault(f"engine {engine} cannot check", []).append(name)
            return
        self.checked += 1
        *_, (_, verdict) = texts
        if verdict not in _SOUND and not any(_UPGRADE in text.lower() for _, text in texts):
            self.damage.append(f"table {name}: {' / '.join(text for _, text in texts)}")

    def sentences(self) -> Iterator[str]:
        if self.damage:
            yield f"damaged: {listed(self.damage)}"
        yield f"{self.checked} tables checked"
        for reason, tables in self.unchecked.items():
            yield f"{reason}: {listed(tables)}"
