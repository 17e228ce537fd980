"""B8: dumps of other servers and of files, by address and by upload; what is refused, and why."""

import gzip
import hashlib
import re
import subprocess
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import zstandard

from fakes.cutting_proxy import cutting
from fixtures.attached import ROWS, Attached, Own, attach
from fixtures.bodies import OCTETS
from fixtures.holdfast import Api, Server, await_backup, await_restore, await_that, fresh
from fixtures.offered import FORBIDDEN, Offered
from holdfast.engines.postgresql.imports.staging import OWNER

pytestmark = pytest.mark.sqlite_first


@pytest.fixture
def target(api: Api, empty_postgres: Own) -> Attached:
    return attach(
        api, empty_postgres.postgres, api.project(), fresh("Addon"), empty_postgres.database
    )


def pg_dump(own: Own, *options: str) -> bytes:
    program = own.postgres.bin_dir / "pg_dump"
    done = subprocess.run(
        [program, *options, own.postgres.url(own.database)], capture_output=True, check=True
    )
    return done.stdout


def imported(api: Api, target: Attached, wanted: str = "completed", **body: Any) -> dict[str, Any]:
    made = api.post(f"{target.path}/import", body).data
    assert made["status"] in ("scheduled", "in-progress")
    return await_backup(api, f"{target.path}/backups/{made['id']}", wanted)


def restored(api: Api, target: Attached, backup: dict[str, Any]) -> list[tuple[object, ...]]:
    one = f"{target.path}/backups/{backup['id']}"
    await_restore(api, one, api.post(f"{one}/restore").data["restoreId"])
    return target.rows()


@pytest.mark.parametrize(
    ("options", "packing"),
    [
        (["--format=custom"], "plain"),
        (["--format=tar"], "gz"),
        (["--format=plain"], "zst"),
        (["--format=plain", "--inserts", "--create"], "plain"),
    ],
    ids=["custom", "tar.gz", "plain.zst", "inserts"],
)
def test_a_file_is_known_by_its_content(
    api: Api, own_postgres: Own, target: Attached, offered: Offered, options: Any, packing: str
) -> None:
    pack = {"plain": bytes, "gz": gzip.compress, "zst": zstandard.compress}[packing]
    url = offered.offer("/whatever.txt", pack(pg_dump(own_postgres, *options)))
    backup = imported(api, target, importUrl=f"{url}?signature=very-secret", name="From afar")
    assert backup["config"]["source"] == {"type": "externalDump"}
    assert (backup["config"]["compressionType"], backup["backupType"]) == ("gz", "dump")
    rows = restored(api, target, backup)
    assert rows == [(n, hashlib.md5(str(n).encode()).hexdigest()) for n in range(1, ROWS + 1)]
    evidence = api.get(f"{target.path}/backups/{backup['id']}/evidence").data
    assert all(check["passed"] for check in evidence["checks"])
    told = api.get(f"{target.path}/backups/{backup['id']}/logs").data
    assert "very-secret" not in f"{told}{backup}{evidence}"


def test_files_are_opened_as_people_pack_them(api: Api, target: Attached, offered: Offered) -> None:
    text = (
        b"\xef\xbb\xbf-- by hand\n-- [app]\nCREATE TABLE t (a int);\nCOPY t FROM stdin;\n1\n\\.\n"
    )
    room = BytesIO()
    with zipfile.ZipFile(room, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "dump.sql.gz", gzip.compress(text[:50]) + gzip.compress(text[50:]) + b"\0" * 99
        )
        archive.writestr("__MACOSX/._dump.sql.gz", b"?")
    backup = imported(api, target, importUrl=offered.offer("/z", room.getvalue()))
    one = f"{target.path}/backups/{backup['id']}"
    told = str(api.get(f"{one}/logs").data)
    assert "foreign-plain, compressed as zip in gz" in told
    assert "99 B after the end of the gz data are no part of it: passed over" in told
    await_restore(api, one, api.post(f"{one}/restore").data["restoreId"])
    assert target.postgres.run("SELECT a FROM t", target.database) == [(1,)]
    rows_alone = offered.offer("/rows", b"COPY public.t (a) FROM stdin;\n1\n\\.\n")
    assert "--data-only" in imported(api, target, "failed", importUrl=rows_alone)["reason"]


def test_a_file_of_a_whole_server_becomes_its_databases(
    api: Api, own_postgres: Own, target: Attached, offered: Offered
) -> None:
    server = own_postgres.postgres
    one, other = server.create(), server.create()
    for name in (one, other):
        server.run(f"CREATE TABLE here AS SELECT '{name}' AS name", name)
    dumps = [pg_dump(Own(server, name), "--create", "--clean") for name in (one, other)]
    for name in (one, other):
        server.run(f"DROP DATABASE {name}")
    backup = imported(api, target, importUrl=offered.offer("/all", b"\n".join(dumps)))
    path = f"{target.path}/backups/{backup['id']}"
    await_restore(api, path, api.post(f"{path}/restore").data["restoreId"])
    for name in (one, other):
        assert target.postgres.run("SELECT name FROM here", name) == [(name,)]


def test_nobody_who_loads_a_strangers_file_is_left_behind(
    api: Api, own_postgres: Own, target: Attached, offered: Offered
) -> None:
    url = offered.offer("/d", pg_dump(own_postgres, "--format=custom"))
    restored(api, target, imported(api, target, importUrl=url))
    roles = target.postgres.run("SELECT rolname, rolsuper, rolcanlogin FROM pg_roles")
    assert [role for role in roles if role[0].startswith("holdfast")] == [(OWNER, False, False)]
    owners = target.postgres.run(
        "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'", target.database
    )
    assert owners == [(OWNER,)]


HOSTILE = {
    "a shell": (rb"\! touch {proof}", "command for psql"),
    "a program": (rb"COPY t FROM PROGRAM 'touch {proof}';", None),
    "a file": (rb"COPY t TO '{proof}';", None),
    "a superuser": (rb"CREATE ROLE evil SUPERUSER;", None),
    "another way": (rb"DO $$ BEGIN EXECUTE 'COPY t TO ' || '''{proof}'''; END $$;", None),
    "the log of rights": (rb"RESET SESSION AUTHORIZATION; COPY t TO '{proof}';", None),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_does_no_harm(
    api: Api, target: Attached, offered: Offered, proof: Path, kind: str
) -> None:
    statement, refusal = HOSTILE[kind]
    body = b"CREATE TABLE t (a text);\n" + statement.replace(b"{proof}", str(proof).encode())
    url = offered.offer("/evil.sql", body + b"\n")
    if refusal is not None:
        assert refusal in imported(api, target, "failed", importUrl=url)["reason"]
    else:
        one = f"{target.path}/backups/{imported(api, target, importUrl=url)['id']}"
        restore = api.post(f"{one}/restore").data["restoreId"]

        def over() -> Any:
            (found,) = api.get(f"{one}/restores").data["restores"]
            return found if found["status"] == "failed" else None

        found = await_that(over)
        assert (found["id"], "privilege" in found["reason"]) == (restore, True)
    assert not proof.exists()
    assert target.postgres.run("SELECT count(*) FROM pg_roles WHERE rolname = 'evil'") == [(0,)]
    left = "SELECT datname FROM pg_database WHERE datname LIKE 'holdfast%'"
    assert target.postgres.run(left) == []


@pytest.mark.slow
def test_code_in_an_archive_that_runs_while_it_is_loaded_does_no_harm(
    api: Api, own_postgres: Own, target: Attached, offered: Offered, proof: Path
) -> None:
    """The row was checked while the function was harmless; a restore runs what it became."""
    own = Own(own_postgres.postgres, own_postgres.postgres.create())
    head = "CREATE OR REPLACE FUNCTION f(a text) RETURNS int LANGUAGE plpgsql AS "
    evil = f"$$BEGIN EXECUTE 'COPY (SELECT 1) TO ''{proof}'''; RETURN 1; END$$"
    for statement in (
        f"{head} $$BEGIN RETURN 1; END$$",
        "CREATE TABLE t (a text CHECK (f(a) = 1))",
        "INSERT INTO t VALUES ('x')",
        head + evil,
    ):
        own.postgres.run(statement, own.database)
    made = imported(api, target, importUrl=offered.offer("/evil", pg_dump(own, "-Fc")))
    own.postgres.run(f"DROP DATABASE {own.database}")
    one = f"{target.path}/backups/{made['id']}"
    api.post(f"{one}/restore")

    def failed() -> Any:
        (found,) = api.get(f"{one}/restores").data["restores"]
        assert found["status"] != "completed"
        return found if found["status"] == "failed" else None

    assert "privilege" in await_that(failed)["reason"]
    assert not proof.exists()


def test_what_is_not_whole_or_not_ours_is_refused_with_what_was_found(
    api: Api, own_postgres: Own, target: Attached, offered: Offered
) -> None:
    custom, plain = pg_dump(own_postgres, "-Fc"), pg_dump(own_postgres)
    wrong = {
        offered.offer("/1", custom[: len(custom) * 3 // 4]): "pg_restore exited",
        offered.offer("/2", gzip.compress(plain)[:-20]): "stops before its end",
        offered.offer("/3", plain[: len(plain) // 2]): "ends inside",
        offered.offer("/4", plain.replace(b"database dump complete", b"")): "cut off",
        offered.offer("/5", plain, cut=10): "broke off",
        offered.offer("/6", b"-- MySQL dump 10.13\nCREATE TABLE a (b int);"): "a dump of MySQL",
        offered.offer("/7", b"<html>not found</html>"): "HTML",
        offered.offer("/8", b"\0" * 5000): "no dump of PostgreSQL",
        offered.offer("/9", b""): "no dump of PostgreSQL",
        offered.url("/nothing"): "status 404",
    }
    made = {api.post(f"{target.path}/import", {"importUrl": url}).data["id"]: url for url in wrong}
    for backup, url in made.items():
        failed = await_backup(api, f"{target.path}/backups/{backup}", "failed")
        assert wrong[url] in failed["reason"], url


def test_an_address_leads_nowhere_that_the_caller_may_not_go(
    api: Api, target: Attached, offered: Offered
) -> None:
    offered.files["/secret"] = b"CREATE TABLE a (b int);"
    offered.redirects["/there"] = offered.url("/secret", FORBIDDEN)
    offered.redirects["/file"] = "file:///etc/passwd"
    offered.redirects["/round"] = "/round"
    wrong = {
        offered.url("/secret", FORBIDDEN): "not a public address",
        offered.url("/secret", "localhost"): "not a public address",
        offered.url("/secret", "[::ffff:127.0.0.1]"): "not a public address",
        "http://169.254.169.254/latest/meta-data/": "not a public address",
        "http://10.0.0.1/": "not a public address",
        offered.url("/there"): "not a public address",
        offered.url("/file"): "a redirect leads to",
        offered.url("/round"): "redirects",
    }
    made = {api.post(f"{target.path}/import", {"importUrl": url}).data["id"]: url for url in wrong}
    for backup, url in made.items():
        failed = await_backup(api, f"{target.path}/backups/{backup}", "failed")
        assert wrong[url] in failed["reason"], url
    assert "/secret" not in offered.asked


def test_a_live_server_is_dumped_without_its_users(
    api: Api, own_postgres: Own, target: Attached
) -> None:
    address = own_postgres.postgres.url(own_postgres.database)
    body = {"connectionString": address, "importAllDatabases": False, "compressionType": "zstd"}
    backup = imported(api, target, **body)
    assert backup["config"]["source"] == {"type": "liveInstance"}
    assert backup["config"]["compressionType"] == "zstd"
    one = f"{target.path}/backups/{backup['id']}"
    members = api.get(f"{one}/evidence").data["members"]
    assert [member["database"] for member in members] == [own_postgres.database]
    await_restore(api, one, api.post(f"{one}/restore").data["restoreId"])
    rows = target.postgres.run("SELECT count(*) FROM things", own_postgres.database)
    assert rows == [(ROWS,)]
    failed = imported(
        api, target, "failed", connectionString="postgresql://u:very-secret@127.0.0.1:1/x"
    )
    assert "no server answers" in failed["reason"]
    assert "very-secret" not in failed["reason"]


def put(api: Api, upload: str, offset: int, content: bytes) -> Any:
    return api.ask(
        "PUT",
        f"{upload}/content",
        params={"offset": offset},
        content=content,
        headers=OCTETS,
    )


def test_an_upload_goes_on_where_it_broke_off(
    api: Api, own_postgres: Own, target: Attached
) -> None:
    file = pg_dump(own_postgres, "-Fc")
    announced = {"size": len(file), "sha256": hashlib.sha256(file).hexdigest()}
    made = api.post(f"{target.path}/uploads", announced).data
    assert made["received"] == 0
    upload = f"{target.path}/uploads/{made['id']}"
    third = len(file) // 3
    assert put(api, upload, 0, file[:third]).data["received"] == third
    assert put(api, upload, 0, file[:third]).data["received"] == third  # its answer got lost
    refused = put(api, upload, 2 * third, file[2 * third :])
    assert (refused.status, refused.details) == (409, {"offset": third})
    early = api.post(f"{target.path}/import", {"uploadId": made["id"]})
    assert (early.status, list(early.details)) == (409, ["uploadId"])
    assert put(api, upload, third, file[third:] + b"x").status == 409
    assert put(api, upload, api.get(upload).data["received"], file[third:]).status == 200
    backup = imported(api, target, uploadId=made["id"])
    assert backup["config"]["source"] == {"type": "fileUpload"}
    assert len(restored(api, target, backup)) == ROWS
    await_that(lambda: api.get(upload).status == 404)


@pytest.mark.slow
def test_the_command_line_goes_on_after_its_connection_was_cut(
    server: Server,
    api: Api,
    own_postgres: Own,
    target: Attached,
    tmp_path: Path,
    fresh_holdfast: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cut in the answer to a part: what has arrived is not sent again."""
    file = tmp_path / "shop.dump"
    file.write_bytes(pg_dump(own_postgres, "-Fc"))
    words = ("backup", "import", "-p", target.project, "-a", target.addon, "--file", str(file))
    monkeypatch.setenv("HOLDFAST_TOKEN", server.token)
    monkeypatch.setattr(
        "holdfast.client.imports._MAX_ATTEMPTS", 1
    )  # by itself it would go on for minutes
    with cutting(int(server.url.rpartition(":")[2])) as proxy:
        monkeypatch.setenv("HOLDFAST_HOST", f"http://127.0.0.1:{proxy.port}")
        proxy.before = f'"received":{file.stat().st_size}'.encode()
        broken = fresh_holdfast(*words, "--name", "Broken")
        assert broken.status != 0
    upload = re.search(r"--resume (\w+)", broken.err)
    assert upload is not None, broken
    monkeypatch.setenv("HOLDFAST_HOST", server.url)
    resumed = fresh_holdfast(*words, "--name", "Resumed", "--resume", upload[1], "--wait")
    assert resumed.status == 0, resumed
    backup = api.get(f"{target.path}/backups/resumed").data
    assert (backup["status"], backup["config"]["source"]) == ("completed", {"type": "fileUpload"})
    assert len(restored(api, target, backup)) == ROWS
    assert api.get(f"{target.path}/backups/broken").status == 404


def test_an_upload_that_is_not_what_was_announced_is_no_backup(
    api: Api, own_postgres: Own, target: Attached
) -> None:
    file = pg_dump(own_postgres, "-Fc")
    made = api.post(f"{target.path}/uploads", {"sha256": "0" * 64}).data
    put(api, f"{target.path}/uploads/{made['id']}", 0, file)
    failed = imported(api, target, "failed", uploadId=made["id"])
    assert "was announced with sha256 000" in failed["reason"]
    assert put(api, f"{target.path}/uploads/{made['id']}", len(file), b"").status == 400
    too_much = put(api, f"{target.path}/uploads/{made['id']}", len(file), bytes((16 << 20) + 1))
    assert too_much.status == 413
    upload = f"{target.path}/uploads/{made['id']}"
    assert api.delete(upload).data == {}
    asked = api.post(f"{target.path}/import", {"uploadId": made["id"]})
    late = put(api, upload, len(file), b"x")
    assert (api.get(upload).status, late.status, asked.status) == (404, 404, 404)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"importUrl": "http://a.example/x", "connectionString": "postgresql://a@b/c"}, "body"),
        ({"importUrl": "ftp://a.example/x"}, "importUrl"),
        ({"importUrl": "http://a.example/\nx"}, "importUrl"),
        ({"importUrl": "http://a.example/", "importAllDatabases": True}, "body"),
        ({"connectionString": "mysql://a@b/c"}, "connectionString"),
        ({"uploadId": "x"}, "uploadId"),
        ({"importUrl": "http://a.example/", "compression": "gz"}, "compression"),
        (
            {"importUrl": "http://a.example/", "customDestinationId": "nowhere"},
            "customDestinationId",
        ),
    ],
)
def test_bad_input_names_its_field(
    api: Api, attached: Attached, body: dict[str, object], field: str
) -> None:
    answer = api.post(f"{attached.path}/import", body)
    assert (answer.status, list(answer.details)) == (400, [field])
    assert api.get(f"{attached.path}/backups").data["backups"] == []
