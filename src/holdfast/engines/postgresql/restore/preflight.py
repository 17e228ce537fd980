"""Finds all obstacles of a restore before anything is touched, and reports them at once."""

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

_MAX_NAMED = 10  # prepared transactions and slots in an error message
_SET_OPTION_SINCE = 16  # since this major a member may lack the right to SET ROLE
_SPACE_FACTOR = 1.1  # rebuilt indexes are smaller, but loading them writes WAL


@dataclass(frozen=True)
class Context:
    """The server, the dump and our session, for the checks."""

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
        context = Context(
            tools_dir=tools_dir,
            address=address,
            dump=dump,
            session=session,
            server=inspect_server(session, address),
            roles={str(role["name"]): role for role in facts.roles(session)},
            present=facts.databases(session),
        )
        obstacles = [obstacle for check in CHECKS for obstacle in check(context)]
        missing = [obstacle for check in SKIPPABLE_CHECKS for obstacle in check(context)]
    way_out = ""
    if missing and not dump.skips_failed:
        obstacles += missing
        way_out = "; --skip-failed-objects (skipFailedObjects) restores without what needs it"
    if obstacles:
        raise PreflightRefused(
            f"the restore cannot work: {'; '.join(obstacles)}{way_out}", obstacles=obstacles
        )


def check_version(context: Context) -> Iterator[str]:
    source, target = origin(context.dump).major, int(context.server["major"])
    if target < source and not context.dump.imported:  # of a file, failures are named one by one
        yield f"the backup is of PostgreSQL {source}, the target is {target}: it must not be older"
    if context.server["standby"]:
        yield "the target is a standby and cannot be written to"


def check_tools(context: Context) -> Iterator[str]:
    if context.dump.foreign:
        return  # any version turns an archive into its script; an unknown setting does no harm
    archive, target = int(section(context.dump, "tools")["major"]), int(context.server["major"])
    try:
        chosen = tools.choose(context.tools_dir, target, archive_major=archive)
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


def check_extensions(context: Context) -> Iterator[str]:
    rows = context.session.execute(
        "SELECT e.name::text, e.default_version,"
        " coalesce(bool_or(v.trusted OR NOT v.superuser), false)"
        " FROM pg_available_extensions e LEFT JOIN pg_available_extension_versions v"
        " ON v.name = e.name AND v.version = e.default_version GROUP BY 1, 2"
    )
    offered = {row[0]: (row[1], row[2]) for row in rows}
    for name, version in _wanted_extensions(context):
        if name not in offered:
            yield (
                f"extension {name} {version} is not available on the target: install its package"
                " on that machine (apt-cache search"
                f" postgresql-{context.server['major']} shows them)"
            )
        elif _parts(offered[name][0]) < _parts(version):
            yield f"extension {name} {version} is needed, the target offers {offered[name][0]}"
        elif not context.server["super"] and not offered[name][1] and name != "plpgsql":
            yield (
                f"extension {name} can only be created by a superuser: attach the target with one"
            )
        elif context.address.owner is not None and not (
            offered[name][1] or name in EXTRA_EXTENSIONS or name == "plpgsql"
        ):
            yield f"extension {name} is not among those that a server of Holdfast's may have"


_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_LIBRARY_PACKAGES = {"libossp-uuid": "libossp-uuid16", "libicu": "libicu72"}
"""Of Debian 12, for libraries that the wheels' servers expect on the machine."""


def check_libraries(context: Context) -> Iterator[str]:
    """Finds extensions whose library does not load, by loading it in a session of its own.

    Such a session may crash. Only a superuser may LOAD; most libraries are called like their
    extension.
    """
    if not context.server["super"]:
        return
    for name, _ in _wanted_extensions(context):
        if not _PLAIN.fullmatch(name):
            continue  # a name from the dump must not lead to another path
        library = Literal(f"$libdir/{name}")
        with (
            suppress(psycopg.OperationalError, AddonUnavailable),
            connect(context.address, context.session.info.dbname, "holdfast-preflight") as session,
        ):
            try:
                session.execute(SQL("LOAD {}").format(library))
            except psycopg.errors.UndefinedFile as error:
                if "could not load library" in str(error):
                    reason = " ".join(str(error).split()).partition(": ")[2] or str(error)
                    remedy = next(
                        (
                            f"; on its machine: apt-get install {package}"
                            for missing, package in _LIBRARY_PACKAGES.items()
                            if missing in str(error)
                        ),
                        "",
                    )
                    yield f"extension {name} cannot be loaded by the target: {reason}{remedy}"
            except psycopg.Error:
                continue  # it has to be preloaded, or has another name


def _wanted_extensions(context: Context) -> list[tuple[str, str]]:
    extensions = {
        (str(extension["name"]), str(extension["version"]))
        for database in context.recorded
        for extension in database["extensions"]
    }
    if context.dump.imported:
        extensions |= {(str(name), "0") for name in section(context.dump, "imported")["extensions"]}
    return sorted(extensions)


def _parts(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def check_locales(context: Context) -> Iterator[str]:
    chosen = context.dump.locale
    if chosen is not None and not locales.has(context.session, chosen, chosen):
        yield f"the chosen locale {chosen} is not available either; {locales.remedy(chosen)}"
    if chosen is None:
        problems = (locales.obstacle(context.session, database) for database in context.recorded)
        yield from (obstacle for obstacle in problems if obstacle is not None)


def check_privileges(context: Context) -> Iterator[str]:
    if context.server["super"]:
        return
    role = context.roles[str(context.server["user"])]
    user = role["name"]
    if not role["createdb"]:
        yield f"user {user} needs CREATEDB (ALTER ROLE {_quoted(user)} CREATEDB)"
    recorded = context.dump.facts.get("roles") if not context.dump.foreign else None
    names: list[str] = []
    if isinstance(recorded, list):
        names = [str(entry["name"]) for entry in recorded]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    present_roles = {*context.roles, origin(context.dump).bootstrap}
    missing = [name for name in names if name not in present_roles]
    if not role["createrole"] and missing:
        yield (
            f"user {user} needs CREATEROLE to make {', '.join(missing)}"
            f" (ALTER ROLE {_quoted(user)} CREATEROLE)"
        )
    present = context.present
    owners = {str(database["owner"]) for database in present if database["name"] not in SYSTEM}
    rows = context.session.execute(
        "SELECT rolname::text FROM pg_roles"
        " WHERE rolname = ANY(%s) AND NOT pg_has_role(oid, %s) ORDER BY 1",
        [
            sorted(owners | context.owners),
            "SET" if int(context.server["major"]) >= _SET_OPTION_SINCE else "MEMBER",
        ],
    )
    for (owner,) in rows:
        yield (
            f"user {user} must be a member of role {owner} (GRANT {_quoted(owner)} TO"
            f" {_quoted(user)}), or a superuser"
        )


def _quoted(name: object) -> str:
    return Identifier(str(name)).as_string()


def check_holders(context: Context) -> Iterator[str]:
    """Finds what keeps a database from being renamed or dropped."""
    rows = context.session.execute(
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


def check_maintenance_database(context: Context) -> Iterator[str]:
    """The swap needs a session in a database that it does not rename."""
    rows = context.session.execute(
        "SELECT datname::text FROM pg_database WHERE datallowconn AND datconnlimit <> -2"
    ).fetchall()
    at_stake = {str(database["name"]) for database in context.recorded} | {context.address.database}
    replaced = (
        set[str]() if context.address.owner is None else {str(d["name"]) for d in context.present}
    )
    if not {row[0] for row in rows} - at_stake - (replaced - {*SYSTEM}):
        yield (
            "every database that can be entered is to be replaced;"
            " ALTER DATABASE template1 ALLOW_CONNECTIONS true helps"
        )


def check_space(context: Context) -> Iterator[str]:
    free = free_bytes(context.server["directory"], context.address)
    needed = int(sum(int(database["size"]) for database in context.recorded) * _SPACE_FACTOR)
    if free is not None and free < needed:
        yield f"the target has {free} bytes free, about {needed} are needed beside its data"


CHECKS: tuple[Callable[[Context], Iterator[str]], ...] = (
    check_version,
    check_tools,
    check_locales,
    check_privileges,
    check_holders,
    check_maintenance_database,
    check_space,
)
SKIPPABLE_CHECKS: tuple[Callable[[Context], Iterator[str]], ...] = (
    check_extensions,
    check_libraries,
)
"""Obstacles a person may accept: objects that cannot be made are skipped and named."""
