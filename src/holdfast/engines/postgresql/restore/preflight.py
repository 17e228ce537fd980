"""Everything that would stop a restore, found before anything is touched, and all of it at once."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from holdfast.contracts.engine import Address, Dump
from holdfast.domain.errors import AddonUnavailable, PreflightRefused, ToolMissing
from holdfast.engines.postgresql.client import facts, tools
from holdfast.engines.postgresql.client.address import Session, connect
from holdfast.engines.postgresql.client.databases import maintenance
from holdfast.engines.postgresql.client.disk import free_bytes
from holdfast.engines.postgresql.client.facts import Facts
from holdfast.engines.postgresql.client.object_names import is_ours
from holdfast.engines.postgresql.dump.probe import inspect_server
from holdfast.engines.postgresql.hosting.ownership import EXTRA_EXTENSIONS
from holdfast.engines.postgresql.restore import locales
from holdfast.engines.postgresql.restore.layout import SYSTEM, databases, origin, section

_MAX_NAMED = 10  # of many things that hold databases
_SET_OPTION_SINCE = 16  # from this major on a member may be one who may not act as the role
_SPACE_FACTOR = 1.1  # indexes built anew are smaller, the log of loading them is not nothing


@dataclass(frozen=True)
class Context:
    """What the checks look at."""

    tools_dir: Path
    address: Address
    dump: Dump
    session: Session
    server: Facts
    roles: dict[str, Facts]
    present: list[Facts]

    @property
    def recorded(self) -> list[Facts]:
        return databases(self.dump)

    @property
    def owners(self) -> set[str]:
        """Roles that are to own something restored; a foreign dump names none."""
        if self.dump.foreign:
            return set()
        named = (
            owner
            for database in self.recorded
            for owner in (database["owner"], *database["owners"])
        )
        return {str(owner) for owner in named if owner}


def preflight(tools_dir: Path, address: Address, dump: Dump) -> None:
    """Raises PreflightRefused with every obstacle."""
    with maintenance(address, "holdfast-preflight") as session:
        case = Context(
            tools_dir=tools_dir,
            address=address,
            dump=dump,
            session=session,
            server=inspect_server(session, address),
            roles={str(role["name"]): role for role in facts.roles(session)},
            present=facts.databases(session),
        )
        obstacles = [obstacle for check in CHECKS for obstacle in check(case)]
        missing = [obstacle for check in LEFT_OUT for obstacle in check(case)]
    way_out = ""
    if missing and not dump.skips_failed:
        obstacles += missing
        way_out = "; --skip-failed-objects (skipFailedObjects) restores without what needs it"
    if obstacles:
        raise PreflightRefused(
            f"the restore cannot work: {'; '.join(obstacles)}{way_out}", obstacles=obstacles
        )


def _version(case: Context) -> Iterator[str]:
    source, target = origin(case.dump).major, int(case.server["major"])
    if target < source and not case.dump.imported:  # of a file, what fails is named one by one
        yield f"the backup is of PostgreSQL {source}, the target is {target}: it must not be older"
    if case.server["standby"]:
        yield "the target is a standby and cannot be written to"


def _tools(case: Context) -> Iterator[str]:
    if case.dump.foreign:
        return  # any version turns an archive into its script; an unknown setting does no harm
    archive, target = int(section(case.dump, "tools")["major"]), int(case.server["major"])
    try:
        chosen = tools.choose(case.tools_dir, target, archive_major=archive)
    except ToolMissing as error:
        yield error.message
        return
    # Since 17, pg_restore sets transaction_timeout first, which no older server knows.
    if chosen.major >= 17 > target:
        yield (
            f"pg_restore {chosen.major} cannot load into PostgreSQL {target}; the archives were "
            f"made by pg_dump {archive}"
            if archive >= 17
            else tools.missing_tools(target).message
        )


def _extensions(case: Context) -> Iterator[str]:
    rows = case.session.execute(
        "SELECT e.name::text, e.default_version,"
        " coalesce(bool_or(v.trusted OR NOT v.superuser), false)"
        " FROM pg_available_extensions e LEFT JOIN pg_available_extension_versions v"
        " ON v.name = e.name AND v.version = e.default_version GROUP BY 1, 2"
    )
    offered = {row[0]: (row[1], row[2]) for row in rows}
    for name, version in _wanted_extensions(case):
        if name not in offered:
            yield (
                f"extension {name} {version} is not available on the target: install its package"
                f" on that machine (apt-cache search postgresql-{case.server['major']} shows them)"
            )
        elif _parts(offered[name][0]) < _parts(version):
            yield f"extension {name} {version} is needed, the target offers {offered[name][0]}"
        elif not case.server["super"] and not offered[name][1] and name != "plpgsql":
            yield (
                f"extension {name} can only be created by a superuser: attach the target with one"
            )
        elif case.address.owner is not None and not (
            offered[name][1] or name in EXTRA_EXTENSIONS or name == "plpgsql"
        ):
            yield f"extension {name} is not among those that a server of Holdfast's may have"


_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_LIBRARY_PACKAGES = {"libossp-uuid": "libossp-uuid16", "libicu": "libicu72"}
"""Of Debian 12, for libraries that the wheels' servers expect on the machine."""


def _libraries(case: Context) -> Iterator[str]:
    """Extensions whose library does not load there, found out by loading it: a session of its own
    may end of it. Only a superuser may; and most are called like their extension."""
    if not case.server["super"]:
        return
    for name, _ in _wanted_extensions(case):
        if not _PLAIN.fullmatch(name):
            continue  # whoever shaped the dump named it; as a path it would lead elsewhere
        library = Literal(f"$libdir/{name}")
        with (
            suppress(psycopg.OperationalError, AddonUnavailable),
            connect(case.address, case.session.info.dbname, "holdfast-preflight") as session,
        ):
            try:
                session.execute(SQL("LOAD {}").format(library))
            except psycopg.errors.UndefinedFile as error:
                if "could not load library" in str(error):
                    yield _does_not_load(name, str(error))
            except psycopg.Error:
                continue  # it wants to be preloaded, or has another name


def _does_not_load(name: str, error: str) -> str:
    reason = " ".join(error.split()).partition(": ")[2] or error
    packages = (package for library, package in _LIBRARY_PACKAGES.items() if library in error)
    remedy = next((f"; on its machine: apt-get install {package}" for package in packages), "")
    return f"extension {name} cannot be loaded by the target: {reason}{remedy}"


def _wanted_extensions(case: Context) -> list[tuple[str, str]]:
    extensions = {
        (str(extension["name"]), str(extension["version"]))
        for database in case.recorded
        for extension in database["extensions"]
    }
    if case.dump.imported:
        extensions |= {(str(name), "0") for name in section(case.dump, "imported")["extensions"]}
    return sorted(extensions)


def _parts(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def _locales(case: Context) -> Iterator[str]:
    chosen = case.dump.locale
    if chosen is not None and not locales.has(case.session, chosen, chosen):
        yield f"the chosen locale {chosen} is not available either; {locales.remedy(chosen)}"
    if chosen is None:
        problems = (locales.obstacle(case.session, database) for database in case.recorded)
        yield from (obstacle for obstacle in problems if obstacle is not None)


def _privileges(case: Context) -> Iterator[str]:
    if case.server["super"]:
        return
    mine = case.roles[str(case.server["user"])]
    user = mine["name"]
    if not mine["createdb"]:
        yield f"user {user} needs CREATEDB (ALTER ROLE {_quoted(user)} CREATEDB)"
    if not mine["createrole"] and (missing := _missing_roles(case)):
        yield (
            f"user {user} needs CREATEROLE to make {', '.join(missing)}"
            f" (ALTER ROLE {_quoted(user)} CREATEROLE)"
        )
    for role in _foreign_owners(case):
        yield (
            f"user {user} must be a member of role {role} (GRANT {_quoted(role)} TO"
            f" {_quoted(user)}), or a superuser"
        )


def _quoted(name: object) -> str:
    return Identifier(str(name)).as_string()


def _missing_roles(case: Context) -> list[str]:
    recorded = case.dump.facts.get("roles") if not case.dump.foreign else None
    names = [str(role["name"]) for role in recorded] if isinstance(recorded, list) else []  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    bootstrap = origin(case.dump).bootstrap
    return [name for name in names if name not in case.roles and name != bootstrap]


def _foreign_owners(case: Context) -> list[str]:
    """Owners of what is to be dropped or made, among the roles that are there already."""
    owners = {str(database["owner"]) for database in case.present if database["name"] not in SYSTEM}
    owners |= case.owners
    rows = case.session.execute(
        "SELECT rolname::text FROM pg_roles"
        " WHERE rolname = ANY(%s) AND NOT pg_has_role(oid, %s) ORDER BY 1",
        [sorted(owners), "SET" if int(case.server["major"]) >= _SET_OPTION_SINCE else "MEMBER"],
    )
    return [row[0] for row in rows]


def _held(case: Context) -> Iterator[str]:
    """What keeps a database from being renamed or dropped."""
    rows = case.session.execute(
        "SELECT database::text, 'the prepared transaction ' || gid || ' of ' || owner"
        " || ' since ' || date_trunc('second', prepared) || ' (end it with ROLLBACK PREPARED or'"
        " || ' COMMIT PREPARED ' || quote_literal(gid) || ')' FROM pg_prepared_xacts"
        " UNION SELECT database::text, 'the active logical replication slot ' || slot_name"
        " || ' (stop who reads it, pid ' || active_pid || ')'"
        " FROM pg_replication_slots WHERE slot_type = 'logical' AND active ORDER BY 1, 2"
    ).fetchall()
    ours = [(database, holder) for database, holder in rows if not is_ours(database)]
    yield from (f"database {name} of the target has {holder}" for name, holder in ours[:_MAX_NAMED])
    if len(ours) > _MAX_NAMED:
        yield f"databases of the target have {len(ours) - _MAX_NAMED} more of these"


def _doors(case: Context) -> Iterator[str]:
    """The swap needs a session in a database that it does not rename."""
    rows = case.session.execute(
        "SELECT datname::text FROM pg_database WHERE datallowconn AND datconnlimit <> -2"
    ).fetchall()
    at_stake = {str(database["name"]) for database in case.recorded} | {case.address.database}
    replaced = set[str]() if case.address.owner is None else {str(d["name"]) for d in case.present}
    if not {row[0] for row in rows} - at_stake - (replaced - {*SYSTEM}):
        yield (
            "every database that can be entered is to be replaced;"
            " ALTER DATABASE template1 ALLOW_CONNECTIONS true helps"
        )


def _space(case: Context) -> Iterator[str]:
    free = free_bytes(case.server["directory"], case.address)
    needed = int(sum(int(database["size"]) for database in case.recorded) * _SPACE_FACTOR)
    if free is not None and free < needed:
        yield f"the target has {free} bytes free, about {needed} are needed beside its data"


CHECKS: tuple[Callable[[Context], Iterator[str]], ...] = (
    _version,
    _tools,
    _locales,
    _privileges,
    _held,
    _doors,
    _space,
)
LEFT_OUT: tuple[Callable[[Context], Iterator[str]], ...] = (_extensions, _libraries)
"""What a person may do without: objects that cannot be made for it are skipped and named."""
