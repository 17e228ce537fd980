"""What stands in the way of a restore is named with its remedy, before anything is touched."""

from dataclasses import replace
from typing import Any

import psycopg
import pytest

from fixtures.physical import TakePhysical
from fixtures.postgres import Log, PostgresServer, ServerFactory, Taken, a_guard, restore, take
from holdfast.contracts.engine import EVERYTHING, Address
from holdfast.domain.errors import AddonRefused, PreflightRefused
from holdfast.engines.postgresql.client import blockers
from holdfast.engines.postgresql.client.server_errors import connect_failure, statement_failure
from holdfast.kit.seal import Secret


def obstacles(server: PostgresServer, taken: Taken, locale: str | None = None) -> str:
    with pytest.raises(PreflightRefused) as caught:
        server.engine.preflight(server.address, replace(taken.dump, locale=locale))
    return caught.value.message


def changed(taken: Taken, **facts: Any) -> Taken:
    """As if its databases had been made so: no machine here has these locales."""
    databases = [{**each, **facts} for each in taken.dump.facts["databases"]]  # type: ignore[union-attr]
    dump = replace(taken.dump, facts={**taken.dump.facts, "databases": databases})
    return replace(taken, dump=dump)


def test_a_locale_that_is_not_there_is_made_or_another_one_is_chosen(
    blank_server: ServerFactory,
) -> None:
    server = blank_server(15)
    server.execute("CREATE TABLE t AS SELECT 'x' AS a")
    taken = take(server.engine, server.address)
    docker = changed(taken, collate="en_US.utf8", ctype="en_US.utf8")
    told = obstacles(server, docker)
    assert "locale en_US.utf8 (ctype en_US.utf8) of database main" in told
    assert "echo 'en_US.UTF-8 UTF-8' >> /etc/locale.gen && locale-gen, then restart" in told
    windows = changed(taken, collate="English_United States.1252", ctype="C")
    assert "no Linux has a locale of that name" in obstacles(server, windows)
    assert "the chosen locale sv_SE is not available either" in obstacles(server, docker, "sv_SE")
    log = Log()
    restore(server.engine, server.address, replaced(docker, "C.UTF-8"), log)
    assert "database main is made with locale C.UTF-8 instead of its own" in log.lines
    assert server.execute("SELECT datcollate FROM pg_database WHERE datname = 'main'") == [
        ("C.UTF-8",)
    ]
    assert server.execute("SELECT a FROM t") == [("x",)]


def replaced(taken: Taken, locale: str) -> Taken:
    return replace(taken, dump=replace(taken.dump, locale=locale))


def test_what_servers_from_wheels_lack_is_named_and_the_rest_works(
    blank_server: ServerFactory,
) -> None:
    source, target = blank_server(15), blank_server(17)
    for statement in (
        "CREATE EXTENSION postgres_fdw",
        "CREATE EXTENSION dblink",
        "CREATE TABLE t (a int)",
        "CREATE DATABASE sorted TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en'",
    ):
        source.execute(statement)
    source.execute("CREATE TABLE words AS SELECT 'a' AS w", "sorted")
    taken = take(source.engine, source.address)
    told = obstacles(target, taken)
    assert "database sorted sorts by ICU (en)" in told
    assert "fdw" not in told
    restore(target.engine, target.address, replaced(taken, "C.UTF-8"), Log())
    assert target.execute("SELECT w FROM words", "sorted") == [("a",)]
    assert target.execute(
        "SELECT count(*) FROM pg_extension WHERE extname IN ('dblink', 'postgres_fdw')"
    ) == [(2,)]
    (name,) = target.execute("SELECT current_database()")[0]
    target.execute(f"SELECT dblink_get_connections(), '{name}'")
    source.execute('CREATE EXTENSION "uuid-ossp"')
    told = obstacles(target, replaced(take(source.engine, source.address), "C.UTF-8"))
    assert "extension uuid-ossp cannot be loaded by the target" in told
    assert "apt-get install libossp-uuid16" in told


def test_who_is_no_superuser_loads_what_he_may(
    blank_server: ServerFactory,
) -> None:
    source, target = blank_server(15), blank_server(16)
    for statement in (
        "CREATE ROLE app LOGIN",
        "ALTER DATABASE main OWNER TO app",
        "ALTER DATABASE main SET log_min_duration_statement = '1s'",
        "ALTER DATABASE main SET work_mem = '5MB'",
        "ALTER ROLE app SET log_statement = 'all'",
        "ALTER ROLE app SET app.color = 'red'",
        "ALTER ROLE app SET work_mem = '6MB'",
        "ALTER ROLE app BYPASSRLS",
        "SET ROLE app; CREATE SCHEMA a; CREATE TABLE a.t (id int);"
        " INSERT INTO a.t VALUES (1); ALTER TABLE a.t ENABLE ROW LEVEL SECURITY;"
        " ALTER TABLE a.t FORCE ROW LEVEL SECURITY",
    ):
        source.execute(statement)
    taken = take(source.engine, source.address)
    target.execute("CREATE ROLE dba LOGIN CREATEDB CREATEROLE PASSWORD 'x'")
    target.execute("GRANT CONNECT ON DATABASE postgres TO dba")
    target.execute("ALTER DATABASE main OWNER TO dba")
    dba: Address = replace(target.address, user="dba", password=Secret("x"))
    log = Log(keep_others=True)
    restore(target.engine, dba, taken, log)
    assert target.execute("SELECT id FROM a.t") == [(1,)]
    assert target.execute("SELECT relforcerowsecurity FROM pg_class WHERE relname = 't'") == [
        (True,)
    ]
    settings = target.execute(
        "SELECT unnest(setconfig) FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole"
        " WHERE rolname = 'app'"
    )
    assert settings == [("work_mem=6MB",)]
    said = " / ".join(log.lines)
    for words in ("log_statement", "app.color", "log_min_duration_statement", "BYPASSRLS"):
        assert words in said


def test_a_grant_waits_for_the_right_to_give_it(
    blank_server: ServerFactory,
) -> None:
    source, target = blank_server(16), blank_server(17)
    for statement in (
        "CREATE ROLE team NOLOGIN",
        "CREATE ROLE boss LOGIN",
        "CREATE ROLE carol",
        "CREATE ROLE worker LOGIN",
        "GRANT team TO boss WITH ADMIN OPTION",
        "SET ROLE boss; GRANT team TO carol WITH ADMIN OPTION; RESET ROLE",
        "SET ROLE carol; GRANT team TO worker; RESET ROLE",
        "CREATE TABLE t (a int)",
    ):
        source.execute(statement)
    target.execute("CREATE ROLE boss LOGIN")
    restore(target.engine, target.address, take(source.engine, source.address), Log())
    members = target.execute(
        "SELECT m.rolname::text, g.rolname::text FROM pg_auth_members a"
        " JOIN pg_roles m ON m.oid = a.member JOIN pg_roles g ON g.oid = a.grantor"
        " WHERE a.roleid = 'team'::regrole ORDER BY 1"
    )
    assert [member for member, _ in members] == ["boss", "carol", "worker"]
    assert ("worker", "carol") in members


def test_who_holds_a_lock_is_said(
    blank_server: ServerFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = blank_server(15)
    server.execute("CREATE TABLE busy (a int)")
    monkeypatch.setattr(blockers, "BLOCKED_SECONDS", 0.5)
    log = Log()

    def say(text: str) -> None:
        log.lines.append(text)
        holder.execute("ROLLBACK")

    with server.connect() as holder:
        pid = holder.info.backend_pid
        holder.execute("SET application_name = 'migration'")
        holder.execute("BEGIN; LOCK TABLE busy IN ACCESS EXCLUSIVE MODE")
        attempt = replace(log.attempt(), say=say)
        with server.engine.dump(server.address, EVERYTHING, attempt, a_guard()) as session:
            for member in session.members:
                source = session.open(member)
                while source.read(1 << 20):
                    pass
                source.finish()
    (said,) = [line for line in log.lines if "waiting" in line]
    assert "a lock on public.busy in database main" in said or "a lock on busy" in said
    assert f"pid {pid} " in said
    assert "user admin, application 'migration'" in said


def test_a_snapshot_names_the_locale_that_its_new_machine_lacks(
    blank_server: ServerFactory, take_physical: TakePhysical
) -> None:
    """A server that was started with locales of its own, as Docker's images have them."""
    server = blank_server(15)
    facts = take_physical(server).facts
    assert "C.UTF-8" in facts["locales"]
    manifest = {"version": "15", "facts": facts}
    assert list(server.engine.obstacles(server.place, manifest)) == []
    manifest["facts"] = {**facts, "locales": ["C", "en_US.utf8"]}
    (told,) = server.engine.obstacles(server.place, manifest)
    assert "needs the locale en_US.utf8" in told
    assert "locale-gen, then restart the server" in told


def test_a_database_whose_locale_is_gone_says_how_it_comes_back() -> None:
    text = (
        "connection failed: FATAL:  database locale is incompatible with operating system\nDETAIL:"
        '  The database was initialized with LC_COLLATE "de_DE@euro",  which is not recognized by'
        " setlocale().\nHINT:  Recreate the database with another locale or install the missing"
        " locale."
    )
    address = Address("db", 5432, "u", Secret(""), "app")
    failure = connect_failure(psycopg.OperationalError(text), address, "app")
    assert "database app needs the locale de_DE@euro" in failure.message
    assert "locale-gen" in failure.message
    long = statement_failure(psycopg.errors.UndefinedTable(f"{'x ' * 300}\nHINT:  to the end."))
    assert long.message.endswith("HINT: to the end.")
    assert AddonRefused("one\n\n  two\r\nthree").message == "one two three"
