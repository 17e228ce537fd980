"""Loads a dump of ours into a server whose superuser is Holdfast's own.

The loader is a role made for this load: it owns the staged database and can do nothing else,
because loading runs functions that the addon's owner could have shaped (behind checks, defaults,
generated columns, partitions). Owners and grants are restored when all is in: see
`PrivilegedEntries`.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

from holdfast.contracts.engine import Address, Attempt, Dump, Fetch, Inventory, Skipped
from holdfast.engines.postgresql.client.address import Session, connect
from holdfast.engines.postgresql.client.facts import Facts
from holdfast.engines.postgresql.client.tools import ToolSet
from holdfast.engines.postgresql.dump.inventory import Count
from holdfast.engines.postgresql.hosting import ownership
from holdfast.engines.postgresql.load.privileged_entries import PrivilegedEntries
from holdfast.engines.postgresql.restore import database_name, properties
from holdfast.engines.postgresql.restore.globals import GlobalsPlan, Target
from holdfast.engines.postgresql.restore.layout import Placement
from holdfast.engines.postgresql.restore.loader_role import creation_statement, loader_name
from holdfast.engines.postgresql.restore.staging import Staging
from holdfast.kit.processes.guard import Guard
from holdfast.kit.seal import Secret


class ConfinedStaging(Staging):
    """One attempt to stage a dump of ours on a managed server."""

    _reserved: frozenset[str] = frozenset()
    _created_with = SQL(" CONNECTION LIMIT 0")  # only superusers enter it until the loader owns it

    def __init__(
        self, tools_dir: Path, address: Address, dump: Dump, attempt: Attempt, guard: Guard
    ) -> None:
        super().__init__(tools_dir, address, dump, attempt, guard)
        self._unmade: list[Skipped] = []

    @property
    def _loader(self) -> str:
        return loader_name(self._attempt)

    @property
    def _owner(self) -> str:
        return str(self._address.owner)

    def run(self, fetch: Fetch) -> Inventory:
        loaded = super().run(fetch)
        with self._maintenance() as session:
            session.execute(SQL("DROP ROLE {}").format(Identifier(self._loader)))
        return loaded

    def _load(
        self,
        placement: Placement,
        fetch: Fetch,
        server: Facts,
        target: Target,
        ready: Callable[[], None],
    ) -> tuple[Count, Sequence[Skipped]]:
        counted, skipped = super()._load(placement, fetch, server, target, ready)
        return counted, [
            *(item for item in self._unmade if item.database == placement.name),
            *skipped,
        ]

    def _globals(self, fetch: Fetch, target: Target) -> GlobalsPlan:
        plan = super()._globals(fetch, target)
        self._reserved = target.reserved or frozenset()
        password = Secret(secrets.token_urlsafe(32))
        self._loader_address = replace(
            self._address, user=self._loader, password=password, owner=None
        )
        plan.needed.append(creation_statement(self._address, self._loader, password))
        plan.made.append(self._loader)
        return plan

    def _hand_over(self, placement: Placement, creation: Future[None]) -> None:
        creation.result()
        staged, loader = Identifier(placement.staged), Identifier(self._loader)
        with self._maintenance() as session:
            session.execute(SQL("ALTER DATABASE {} OWNER TO {}").format(staged, loader))
            session.execute(SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(staged))
        with connect(self._address, placement.staged, self._application) as session:
            database_name.disguise(session, placement)
            if placement.facts is not None and not placement.facts.get("public", True):
                session.execute("DROP SCHEMA IF EXISTS public")
            elif session.info.server_version < 15_00_00:
                session.execute(SQL("ALTER SCHEMA public OWNER TO {}").format(loader))
            for name, schema in self._extensions(placement):
                try:
                    self._make_extension(session, name, schema)
                except psycopg.Error as error:
                    if session.broken:
                        raise
                    reason = " ".join(str(error).split())
                    self._unmade.append(
                        Skipped(placement.name, "extensions", f"extension {name}", reason)
                    )
            session.execute(SQL("ALTER DATABASE {} CONNECTION LIMIT -1").format(staged))

    def _extensions(self, placement: Placement) -> Sequence[tuple[str, str]]:
        """Name and schema of extensions that only a superuser may make; the loader makes the
        others."""
        recorded: list[Facts] = [] if placement.facts is None else placement.facts["extensions"]
        return [
            (str(extension["name"]), str(extension["schema"]))
            for extension in recorded
            if extension["name"] in ownership.EXTRA_EXTENSIONS
        ]

    def _make_extension(self, session: Session, name: str, schema: str) -> None:
        """Made while nothing of the owner's is in the database that its script could call."""
        schema_name, loader = Identifier(schema), Identifier(self._loader)
        if schema not in ("public", "pg_catalog"):
            session.execute(
                SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}").format(schema_name, loader)
            )
        session.execute(
            SQL("CREATE EXTENSION {} WITH SCHEMA {}").format(Identifier(name), schema_name)
        )
        if name == "postgres_fdw":
            session.execute(
                SQL("GRANT USAGE ON FOREIGN DATA WRAPPER {} TO {}, {}").format(
                    Identifier(name), loader, Identifier(self._owner)
                )
            )

    def _left_out(self, *, tablespaces: bool, users: bool) -> Sequence[str]:  # noqa: ARG002
        return ["owner", "privileges", "tablespaces"]

    def _separate_entries(self, placement: Placement, chosen: ToolSet) -> PrivilegedEntries:
        return PrivilegedEntries(
            chosen,
            self._address,
            self._loader_address,
            placement.name,
            placement.staged,
            self._application,
            self._guard,
            self._attempt.say,
            self._extensions(placement),
        )

    def _finish(self, session: Session, placement: Placement) -> None:
        staged = placement.staged
        loader, owner = Identifier(self._loader), Identifier(self._owner)
        facts = None if placement.facts is None else self._adapted(placement.facts)
        database_owner = self._owner if facts is None else str(facts["owner"])
        with session.transaction():
            session.execute(SQL("REASSIGN OWNED BY {} TO {}").format(loader, owner))
            session.execute(SQL("DROP OWNED BY {}").format(loader))
        ownership.equip_database(session, self._owner, database_owner)
        with session.transaction():
            session.execute(
                SQL("ALTER DATABASE {} OWNER TO {}").format(
                    Identifier(staged), Identifier(database_owner)
                )
            )
            if facts is None or facts["acl"] is None:  # as after CREATE DATABASE: all may connect
                session.execute(
                    "UPDATE pg_catalog.pg_database SET datacl = NULL WHERE datname = %s", [staged]
                )
            else:
                self._apply(session, properties.ownership(staged, facts), placement)
        super()._finish(session, replace(placement, facts=facts))

    def _adapted(self, facts: Facts) -> Facts:
        """The facts with the addon's owner in place of the superuser.

        Settings that only a superuser may set are left out.
        """
        ours = self._address.user

        def adapted(grant: Mapping[str, object]) -> dict[str, object]:
            names = ("grantor", "grantee")
            return {**grant, **{name: self._owner for name in names if grant[name] == ours}}

        def may_be_set(setting: str) -> bool:
            name = setting.partition("=")[0]
            if name.lower() in self._reserved:
                self._attempt.say(f"left out, for only a superuser may set it: {name}")
            return name.lower() not in self._reserved

        acl = None if facts["acl"] is None else [adapted(grant) for grant in facts["acl"]]
        settings = [
            {**entry, "settings": [text for text in entry["settings"] if may_be_set(text)]}
            for entry in facts["settings"]
            if entry["role"] != ours
        ]
        owner = self._owner if facts["owner"] in (None, ours) else facts["owner"]
        return {**facts, "owner": owner, "acl": acl, "settings": settings}
