"""What is around a dump: clients of other versions, encrypted connections, data of extensions."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from demo.fingerprint import differences, fingerprint
from fixtures.certificates import Certified
from fixtures.postgres import TOOLS, Log, ServerFactory, restore, take, url_of
from holdfast.domain.errors import AddonRefused, AddonUnavailable, PreflightRefused
from holdfast.engines.postgresql import create
from holdfast.engines.postgresql.client import tools
from holdfast.engines.postgresql.client.address import connect
from holdfast.engines.postgresql.driver import PostgreSQL

OLDEST, NEWEST = min(tools.MAJORS), max(tools.MAJORS)


@pytest.fixture
def newest_only(
    postgres_engine: PostgreSQL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> PostgreSQL:
    """On a machine that has no other programs than the newest."""
    del postgres_engine  # it has installed them
    (own,) = (TOOLS / "postgresql").glob(f"{NEWEST}.*")
    (tmp_path / "postgresql").mkdir()
    (tmp_path / "postgresql" / own.name).symlink_to(own)
    monkeypatch.setattr(tools, "_DEBIAN", tmp_path / "nowhere")
    monkeypatch.setattr(tools, "which", lambda _: None)
    return create(tmp_path)


@pytest.mark.slow
def test_a_newer_client_dumps_an_older_server_for_newer_ones_alone(
    blank_server: ServerFactory, newest_only: PostgreSQL
) -> None:
    source, target = blank_server(OLDEST), blank_server(NEWEST)
    source.execute("CREATE TABLE kept AS SELECT generate_series(1, 50) AS id")
    taken = take(newest_only, source.address)
    client = taken.dump.facts["tools"]
    assert isinstance(client, dict)
    assert client["major"] == NEWEST
    before = fingerprint(source.address)
    with pytest.raises(PreflightRefused, match="pg_restore 18 cannot load into PostgreSQL 14"):
        newest_only.preflight(source.address, taken.dump)
    assert fingerprint(source.address) == before
    restore(newest_only, target.address, taken, Log())
    assert target.execute("SELECT count(*), max(id) FROM kept") == [(50, 50)]


LIMITS = (
    "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout",
    "idle_session_timeout", "transaction_timeout",
)  # fmt: skip


@pytest.mark.parametrize("major", [OLDEST, NEWEST])
def test_limits_of_a_role_or_a_database_are_not_ours(
    blank_server: ServerFactory, major: int
) -> None:
    """They are for applications: a session of ours counts for hours and waits for a store."""
    server = blank_server(major)
    known = [name for name in LIMITS if major >= 17 or name != "transaction_timeout"]
    try:
        for name in known:
            server.execute(f"ALTER ROLE admin SET {name} = '300ms'")
        server.execute("ALTER DATABASE main SET default_transaction_read_only = on")
        with connect(server.address) as session:
            for name in known:
                assert session.execute(f"SHOW {name}").fetchone() == ("0",), name
            session.execute("CREATE TABLE public.written (a int)")
        taken = take(server.engine, server.address)
        assert [table.name for table in taken.dump.inventory.tables] == ["public.written"]
        restore(server.engine, server.address, taken, Log())
    finally:
        server.execute("ALTER ROLE admin RESET ALL")


def test_tls_is_spoken_and_checked(blank_server: ServerFactory, certified: Certified) -> None:
    """With an authority that is named; and where a server has none, it is not done without."""
    server = blank_server(16)
    place = server.place.directory
    owner = place.stat()
    for name, file in (("own.pem", certified.certificate), ("own.key", certified.key)):
        shutil.copy(file, place / name)
        (place / name).chmod(0o600)
        os.chown(place / name, owner.st_uid, owner.st_gid)
    server.execute("CREATE TABLE kept AS SELECT 1 AS one")
    plain = f"{url_of(server, 'main')}?sslmode=require"
    try:
        for setting in ("ssl_cert_file = 'own.pem'", "ssl_key_file = 'own.key'", "ssl = on"):
            server.execute(f"ALTER SYSTEM SET {setting}")
        server.execute("SELECT pg_reload_conf()")
        checked = f"{url_of(server, 'main')}?sslmode=verify-full&sslrootcert={certified.authority}"
        address = server.engine.parse(checked)
        with connect(address) as session:
            row = session.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            assert row.fetchone() == (True,)
        taken = take(server.engine, address)
        assert [table.rows for table in taken.dump.inventory.tables] == [1]
        elsewhere = replace(address, options={**address.options, "sslrootcert": "/no/such.pem"})
        with pytest.raises((AddonUnavailable, AddonRefused)):
            server.engine.probe(elsewhere)
    finally:
        server.execute("ALTER SYSTEM RESET ALL")
        server.execute("SELECT pg_reload_conf()")
    with pytest.raises((AddonUnavailable, AddonRefused)):
        server.engine.probe(server.engine.parse(plain))


CONTROL = "default_version = '1.0'\nrelocatable = false\n"
SCRIPT = """
CREATE TABLE settings (name text PRIMARY KEY, value text, ours bool NOT NULL DEFAULT true);
INSERT INTO settings VALUES ('built in', 'x', false);
CREATE TABLE cache (a int);
SELECT pg_extension_config_dump('settings', 'WHERE ours');
"""


def test_what_a_user_put_into_an_extensions_table_comes_back(
    blank_server: ServerFactory, start_postgres, servers_root: Path
) -> None:
    """Rows that the extension marks as a user's are dumped; its own are made by itself."""
    source, target = start_postgres(NEWEST, "extended"), blank_server(NEWEST)
    home = servers_root / "extensions" / "extension"
    home.mkdir(parents=True)
    (home / "kept.control").write_text(CONTROL)
    (home / "kept--1.0.sql").write_text(SCRIPT)
    for server in (source, target):
        server.execute(f"ALTER SYSTEM SET extension_control_path = '{home.parent}:$system'")
        server.execute("SELECT pg_reload_conf()")
    source.execute("CREATE EXTENSION kept")
    source.execute("INSERT INTO settings VALUES ('mine', 'y'), ('mine too', 'z')")
    source.execute("CREATE TABLE beside AS SELECT 7 AS id")
    taken = take(source.engine, source.address)
    restore(target.engine, target.address, taken, Log())
    assert differences(fingerprint(source.address), fingerprint(target.address)) == []
    assert target.execute("SELECT count(*) FROM settings") == [(3,)]
    target.execute("ALTER SYSTEM RESET ALL")
    target.execute("SELECT pg_reload_conf()")


JOBS_CONTROL = "default_version = '1.0'\nrelocatable = false\nschema = jobs\n"
JOBS = """
DO $$ BEGIN
  IF current_database() <> current_setting('jobs.database_name') THEN
    RAISE EXCEPTION 'can only create extension in %', current_setting('jobs.database_name');
  END IF;
END $$;
CREATE TABLE jobs.run (id bigserial PRIMARY KEY, at timestamptz);
CREATE TABLE jobs.job (id int PRIMARY KEY, schedule text);
SELECT pg_extension_config_dump('jobs.job', '');
"""
ADDED = """
CREATE EXTENSION jobs;
CREATE INDEX run_at ON jobs.run (at);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touch BEFORE INSERT ON jobs.run FOR EACH ROW EXECUTE FUNCTION touch();
INSERT INTO jobs.job VALUES (1, '* * * * *');
CREATE TABLE mine (job int REFERENCES jobs.job); INSERT INTO mine VALUES (1);
"""


def test_an_extension_that_wants_one_database_by_name_is_made_in_it(
    blank_server: ServerFactory, start_postgres, servers_root: Path
) -> None:
    """As pg_cron does. What was added to its tables is in no dump, and named."""
    source, target = start_postgres(NEWEST, "extended"), blank_server(NEWEST)
    source.wipe()
    home = servers_root / "named" / "extension"
    home.mkdir(parents=True)
    (home / "jobs.control").write_text(JOBS_CONTROL)
    (home / "jobs--1.0.sql").write_text(JOBS)
    for server in (source, target):
        server.execute(f"ALTER SYSTEM SET extension_control_path = '{home.parent}:$system'")
        server.execute("SELECT pg_reload_conf()")
        server.execute("ALTER ROLE ALL SET jobs.database_name = 'main'")
    try:
        source.execute(ADDED)
        taken = take(source.engine, source.address)
        warnings = taken.dump.facts["warnings"]
        assert isinstance(warnings, list)
        assert [entry["object"] for entry in warnings] == [
            "index jobs.run_at",
            "trigger touch of jobs.run",
        ]
        loaded = restore(target.engine, target.address, taken, Log())
        assert loaded == taken.dump.inventory
        assert target.execute("SELECT current_database(), * FROM jobs.job") == [
            ("main", 1, "* * * * *")
        ]
    finally:
        for server in (source, target):
            server.execute("ALTER SYSTEM RESET ALL")
            server.execute("ALTER ROLE ALL RESET ALL")
            server.execute("SELECT pg_reload_conf()")
