"""Finds every obstacle to a restore, all at once, before anything is touched."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from holdfast.contracts.engine import Address, Dump
from holdfast.domain.errors import PreflightRefused
from holdfast.domain.units import show_bytes
from holdfast.engines.mysql.client import facts
from holdfast.engines.mysql.client.address import connect
from holdfast.engines.mysql.client.connection import Session
from holdfast.engines.mysql.client.disk import data_directory
from holdfast.engines.mysql.client.facts import Facts
from holdfast.engines.mysql.client.server_errors import translated
from holdfast.engines.mysql.client.tools import MARIADB, series, version_parts
from holdfast.engines.mysql.dump.probe import supported_server
from holdfast.engines.mysql.restore.staging import fact_section, recorded_databases
from holdfast.engines.mysql.restore.targets import DEFINING, with_target

WRITING = (
    "SELECT",
    "INSERT",
    "CREATE",
    "DROP",
    "ALTER",
    "INDEX",
    "REFERENCES",
    "CREATE VIEW",
    "SHOW VIEW",
    "TRIGGER",
    "EVENT",
    "CREATE ROUTINE",
    "ALTER ROUTINE",
)
_DEFINERS = ("SUPER", "SET USER", "SET_USER_ID")
_CODE_KINDS = ("procedures", "functions", "packages", "triggers", "events", "views")


@dataclass(frozen=True)
class Case:
    """The input of all checks."""

    address: Address
    dump: Dump
    session: Session
    server: Facts

    @property
    def source(self) -> dict[str, object]:
        return dict(fact_section(self.dump, "server"))

    @property
    def databases(self) -> list[Facts]:
        return recorded_databases(self.dump)


def preflight(address: Address, dump: Dump) -> None:
    """Raises PreflightRefused with every obstacle."""
    with translated(), connect(address) as session:
        if dump.foreign:
            dump = with_target(session, address, dump)
        case = Case(address, dump, session, supported_server(session, address))
        obstacles = [obstacle for check in CHECKS for obstacle in check(case)]
    if obstacles:
        raise PreflightRefused(
            "the restore cannot work: " + "; ".join(obstacles), obstacles=obstacles
        )


def check_version(case: Case) -> Iterator[str]:
    source_flavour, target_flavour = str(case.source["flavour"]), str(case.server["flavour"])
    old, new = str(case.source["version"]), str(case.server["version"])
    if source_flavour == target_flavour and version_parts(new)[:2] < version_parts(old)[:2]:
        yield (
            f"the backup is of {source_flavour} {series(old)}, the target is {series(new)}:"
            " it must not be older"
        )
    if case.server["readOnly"]:
        yield "the target is read-only"


def check_collations(case: Case) -> Iterator[str]:
    offered = {
        str(row[0])
        for row in case.session.rows("SELECT collation_name FROM information_schema.collations")
    }
    if case.server["flavour"] == MARIADB:  # since 10.10 some are listed without their charset
        offered |= {str(row[0]) for row in case.session.rows("SHOW COLLATION")}
        if case.session.rows(_HAS_FULL_NAMES):
            offered |= {str(row[0]) for row in case.session.rows(_FULL_NAMES)}
    for database in case.databases:
        for collation in database["collations"]:
            if collation not in offered:
                yield f"collation {collation} (in {database['name']}) is not on the target"


_HAS_FULL_NAMES = """
SELECT 1 FROM information_schema.columns WHERE table_schema = 'information_schema'
   AND table_name = 'COLLATION_CHARACTER_SET_APPLICABILITY'
   AND column_name = 'FULL_COLLATION_NAME'
"""
_FULL_NAMES = """
SELECT full_collation_name FROM information_schema.collation_character_set_applicability
"""


def check_engines(case: Case) -> Iterator[str]:
    rows = case.session.rows(
        "SELECT engine FROM information_schema.engines WHERE support IN ('YES', 'DEFAULT')"
    )
    offered = {str(row[0]).lower() for row in rows}
    for database in case.databases:
        for engine in database["engines"]:
            if engine.lower() not in offered:
                yield f"storage engine {engine} (in {database['name']}) is not on the target"


def check_features(case: Case) -> Iterator[str]:
    """Features that only MariaDB has, and foreign keys to databases outside of the backup."""
    inside = {str(database["name"]) for database in case.databases}
    for database in case.databases:
        if case.server["flavour"] != MARIADB:
            for feature, words in (("sequences", "sequences"), ("versioned", "versioned tables")):
                if database[feature]:
                    yield f"{database['name']} has {words}, which MySQL does not know"
        for other in sorted(set(database["references"]) - inside):
            yield f"{database['name']} has foreign keys to {other}, which the backup lacks"


def check_names(case: Case) -> Iterator[str]:
    mixed = [str(database["name"]) for database in case.databases if database["mixedCase"]]
    if mixed and int(case.server["lowerCase"]) != int(str(case.source["lowerCase"])):
        yield (
            f"lower_case_table_names is {case.server['lowerCase']} on the target and was"
            f" {case.source['lowerCase']}: names in {', '.join(mixed)} would change"
        )


def check_privileges(case: Case) -> Iterator[str]:
    privileges = facts.privileges(case.session)
    missing = [privilege for privilege in WRITING if privilege not in privileges]
    if missing:
        yield (
            f"user {case.address.user} lacks privileges on *.*: {', '.join(missing)}"
            " (databases are made beside under other names)"
        )
    kinds = {kind for objects in case.dump.inventory.objects.values() for kind in objects}
    if kinds & set(_CODE_KINDS) and not (case.dump.foreign or privileges & DEFINING):
        yield (
            f"user {case.address.user} may not make objects for other definers:"
            f" it needs {' or '.join(_DEFINERS)}"
        )


def check_read_only(case: Case) -> Iterator[str]:
    """MySQL can make single databases read-only."""
    if case.server["flavour"] == MARIADB:
        return
    rows = case.session.rows(
        "SELECT schema_name FROM information_schema.schemata_extensions"
        " WHERE options LIKE '%READ ONLY=1%'"
    )
    restored = {str(database["name"]) for database in case.databases}
    for name in sorted({str(row[0]) for row in rows} & restored):
        yield f"database {name} is read-only there; run ALTER DATABASE `{name}` READ ONLY = 0"


def check_space(case: Case) -> Iterator[str]:
    """The disk must hold a second copy: everything is loaded beside the present data."""
    directory = data_directory(case.session, case.address)
    if directory is None:
        return
    needed = sum(int(database["size"]) for database in case.databases)
    free = shutil.disk_usage(Path(directory)).free
    if free < needed:
        yield (
            f"there is no room for a second copy: {show_bytes(needed)} are needed,"
            f" {show_bytes(free)} are free"
        )


CHECKS = (
    check_version,
    check_collations,
    check_engines,
    check_features,
    check_names,
    check_privileges,
    check_read_only,
    check_space,
)
