"""Loads a dump that Holdfast did not make, statement by statement, as a role with few rights.

The role is made for this load, may log in and nothing more, and owns the staged database. So a
dump may build what it likes inside its database, but the server refuses it programs, files, other
databases and roles. Afterwards the role is dropped, and its objects belong to a role that cannot
log in and is no superuser either: the server runs functions in indexes with the rights of a
table's owner, long after the load. Where the target's user is no superuser no role can be made,
and that user loads.
"""

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

from psycopg.sql import SQL, Composed, Identifier

from holdfast.contracts.engine import Fetch, Inventory
from holdfast.domain.errors import AddonRefused, EvidenceMissing
from holdfast.engines.postgresql.client import tools
from holdfast.engines.postgresql.client.address import Session, connect
from holdfast.engines.postgresql.client.databases import cancelled_on_stop
from holdfast.engines.postgresql.client.facts import Facts
from holdfast.engines.postgresql.client.server_errors import translated
from holdfast.engines.postgresql.hosting.ownership import EXTRA_EXTENSIONS
from holdfast.engines.postgresql.imports import statement_filter, survey
from holdfast.engines.postgresql.imports.run_script import ScriptRun
from holdfast.engines.postgresql.imports.script_state import unquoted
from holdfast.engines.postgresql.load.table_checks import TableChecks
from holdfast.engines.postgresql.restore import properties
from holdfast.engines.postgresql.restore.globals import GlobalsPlan, Target
from holdfast.engines.postgresql.restore.layout import Placement, section
from holdfast.engines.postgresql.restore.loader_role import creation_statement, loader_name
from holdfast.engines.postgresql.restore.staging import Staging
from holdfast.kit.seal import Secret

_NEVER_LOADED = frozenset({"event triggers"})
"""Counted kinds of objects that need a superuser."""
_SCHEMA_OF = re.compile(rf"WITH SCHEMA {statement_filter.NAME}", re.IGNORECASE)
_AS_PSQL = 'SET search_path TO "$user", public'
"""Our sessions have another path; a script relies on that of the stock client."""

OWNER = "holdfast_imported"
"""The role that owns the objects of imported dumps."""


class ForeignStaging(Staging):
    """One attempt to stage a dump from unknown hands."""

    _password = Secret("")

    def run(self, fetch: Fetch) -> Inventory:
        loaded = super().run(fetch)
        with self._maintenance() as session:
            session.execute(SQL("DROP ROLE IF EXISTS {}").format(Identifier(self._loader)))
        return replace(loaded, left_out=loaded.left_out | _NEVER_LOADED)

    @property
    def _loader(self) -> str:
        return loader_name(self._attempt)

    def _globals(self, fetch: Fetch, target: Target) -> GlobalsPlan:  # noqa: ARG002 - globals of the dump are left out
        if not target.superuser:
            return GlobalsPlan(notes=[f"loading as {self._address.user}, who is no superuser"])
        self._password = Secret(secrets.token_urlsafe(32))
        creation = creation_statement(self._address, self._loader, self._password)
        plan = GlobalsPlan(needed=[creation], made=[self._loader])
        if OWNER not in target.roles:
            plan.needed.append(f"CREATE ROLE {OWNER}")
            plan.made.append(OWNER)
        return plan

    def _restore(
        self,
        placement: Placement,
        fetch: Fetch,
        server: Facts,  # noqa: ARG002
        target: Target,
        ready: Callable[[], None],
    ) -> TableChecks:
        ready()
        member = next(m for m in self._dump.members if m.name == placement.member)
        address = self._address
        if target.superuser:
            with self._maintenance() as maintenance:
                maintenance.execute(
                    SQL("ALTER DATABASE {} OWNER TO {}").format(
                        Identifier(placement.staged), Identifier(self._loader)
                    )
                )
            address = replace(address, user=self._loader, password=self._password, owner=None)
            self._loader_address = address
        with (
            translated(self._guard),
            connect(address, placement.staged, self._application) as session,
            cancelled_on_stop(session, self._guard),
            connect(self._address, placement.staged, self._application)
            if target.superuser  # makes extensions that the loader may not make
            else nullcontext() as helper,
            survey.script(tools.newest(self._tools_dir), member, fetch(member.name)) as script,
        ):
            session.execute(_AS_PSQL)
            run = ScriptRun(
                session,
                placement.name,
                self._attempt.say,
                self._guard,
                extend=None if helper is None else partial(self._make_extension, helper),
                cluster=member.format == survey.CLUSTER,
            )
            several = self._dump.imported and section(self._dump, "imported").get("sections")
            run.run(script, placement.name if several else None)
        return TableChecks(skipped=run.skipped)

    def _finish(self, session: Session, placement: Placement) -> None:
        """Gives the loader's objects to their owner; they were counted as the loader before."""
        if self._loader_address != self._address:
            staged = Identifier(placement.staged)
            loader, owner = Identifier(self._loader), Identifier(OWNER)
            with (
                translated(self._guard),
                connect(self._address, placement.staged, self._application) as superuser,
                superuser.transaction(),
            ):
                superuser.execute(SQL("REASSIGN OWNED BY {} TO {}").format(loader, owner))
                superuser.execute(SQL("DROP OWNED BY {}").format(loader))
                database_owner = Identifier(self._address.owner or self._address.user)
                if self._address.owner is not None:  # no superuser, but has to have access
                    superuser.execute(SQL("GRANT {} TO {}").format(owner, database_owner))
                superuser.execute(
                    SQL("ALTER DATABASE {} OWNER TO {}").format(staged, database_owner)
                )
            self._loader_address = self._address
        super()._finish(session, placement)

    def _settings(self, session: Session, staged: str, recorded: Facts) -> Iterator[Composed]:
        """Only settings that any role may change for itself."""
        own = {**recorded, "settings": [e for e in recorded["settings"] if e["role"] is None]}
        names = properties.setting_names(own)
        rows = session.execute(
            "SELECT lower(name) FROM pg_settings WHERE context = 'user' AND lower(name) = ANY(%s)",
            [sorted(names - {"local_preload_libraries"})],
        )
        harmless = {str(row[0]) for row in rows}
        for name in sorted(names - harmless):
            self._attempt.say(f"left out: the setting {name} of {staged}")
        return properties.settings(staged, properties.with_settings(own, harmless))

    def _make_extension(self, helper: Session, head: str) -> None:
        """Takes nothing but the name and the schema from the dump."""
        match = survey.EXTENSION.match(head)
        if match is None:
            raise EvidenceMissing(f"not understood: {head[:80]}")
        name = unquoted(match, 1)
        if self._address.owner is not None and name not in EXTRA_EXTENSIONS:
            raise AddonRefused(f"extension {name} is not among those that this server may have")
        statement = SQL("CREATE EXTENSION IF NOT EXISTS {}").format(Identifier(name))
        schema = _SCHEMA_OF.search(head)
        if schema is not None:
            statement += SQL(" WITH SCHEMA {}").format(Identifier(unquoted(schema, 1)))
        helper.execute(_AS_PSQL)
        helper.execute(statement)
