"""The acceptance checks of the wire contract, by number, as far as they are in scope."""

import gzip
import io
import json
import socket
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from fixtures.attached import ROWS, Attached, Own, attach
from fixtures.holdfast import Api, Server, await_backup, await_restore, fresh
from fixtures.official import JsClient, OfficialCli
from fixtures.s3 import S3Server

pytestmark = pytest.mark.sqlite_first


def test_1_login_says_whether_the_token_is_good(fresh_cli: OfficialCli, server: Server) -> None:
    wrong = fresh_cli("login", "-n", "x", "-t", "hft_wrong", "--host", server.url)
    assert wrong.status == 0  # the command line never fails here, it only says so
    assert "success" not in (wrong.out + wrong.err).lower()
    good = fresh_cli("login", "-n", "x", "-t", server.token, "--host", server.url)
    assert "success" in (good.out + good.err).lower()
    assert fresh_cli("list", "projects", "-o", "json").status == 0


def test_2_projects_over_the_command_line(cli: OfficialCli) -> None:
    name = fresh("Cli")
    made = cli("create", "project", "-i", f'{{"name":"{name}"}}', "-o", "json").json
    one = ("--projectId", made["id"])
    assert cli("get", "project", *one, "-o", "json").json["name"] == name
    said = cli("patch", "project", *one, "-i", '{"description":"Patched"}')
    assert said.status == 0, said
    listed = cli("list", "projects", "-o", "json").json
    assert made["id"] in str(listed)
    assert cli("delete", "project", *one, "--force").status == 0
    gone = cli("get", "project", *one)
    assert gone.status == 1
    assert "there is no project" in gone.err
    assert "404" in gone.err


def test_2_addons_and_backups_over_the_command_line(
    cli: OfficialCli, api: Api, attached: Attached
) -> None:
    at = ("--projectId", attached.project, "--addonId", attached.addon)
    assert cli("get", "addon", *at, "-o", "json").json["id"] == attached.addon
    assert "postgresql" in cli("get", "addon", "types", "-o", "json").out
    assert attached.addon in cli("list", "addons", "--projectId", attached.project).out
    order = '{"backupType":"dump","compressionType":"gz","name":"From the cli"}'
    made = cli("backup", "addon", *at, "-i", order, "-o", "json").json
    assert (made["id"], made["status"]) == ("from-the-cli", "scheduled")
    one = (*at, "--backupId", made["id"])
    tail = cli("get", "addon", "backup", "logs", *one, "-f")
    assert tail.status == 0
    assert "completed" in tail.out + tail.err
    assert cli("get", "addon", "backup", *one, "-o", "json").json["status"] == "completed"
    assert "from-the-cli" in cli("get", "addon", "backups", *at).out
    link = cli("get", "addon", "backup", "download", *one, "-o", "json").json
    require_dump(link["downloadLink"], attached.database)
    whole = cli("get", "addon", "backup", "logs", *one, "-o", "json").json
    assert [line["log"] for line in whole][-1] == "completed"
    assert cli("retain", "addon", "backup", *one).status == 0
    started = cli("restore", "addon", "backup", *one, "-o", "json").json["restoreId"]
    logs = cli("get", "addon", "restores", "logs", *one, "--restoreId", started, "-f")
    assert logs.status == 0
    words = ("get", "addon", "restores", "logs", *one, "--restoreId", started, "-o", "json")
    assert [line["log"] for line in cli(*words).json][-1] == "completed"
    assert started in cli("get", "addon", "restores", *at, "-o", "json").out
    assert started in cli("get", "addon", "backup", "restores", *one, "-o", "json").out
    over = cli("abort", "addon", "restore", *one, "-i", f'{{"restoreId":"{started}"}}')
    assert (over.status, "409" in over.err) == (1, True)
    api.post(f"{attached.path}/backups", {"name": "Another", "backupType": "dump"})
    await_backup(api, f"{attached.path}/backups/another")
    assert cli("delete", "backup", *one, "--force").status == 0
    assert api.get(f"{attached.path}/backups/{made['id']}").status == 404


def require_dump(link: str, database: str) -> None:
    """What the link leads to is a tar that `gunzip` and `tar` open, and `pg_restore` knows."""
    with tarfile.open(
        fileobj=io.BytesIO(httpx.get(link, timeout=60).content), mode="r:gz"
    ) as packed:
        (name,) = (each for each in packed.getnames() if each.endswith((".dump", ".dump.gz")))
        file = packed.extractfile(name)
        assert file is not None
        archive = gzip.decompress(file.read()) if name.endswith(".gz") else file.read()
    assert (database in name, archive[:5]) == (True, b"PGDMP")


def test_2_a_restore_from_another_project_over_the_command_line(
    cli: OfficialCli, api: Api, attached: Attached, backup: str, empty_postgres: Own
) -> None:
    name, postgres = fresh("Elsewhere"), empty_postgres.postgres
    target = attach(api, postgres, api.project(), name, empty_postgres.database)
    at = ("--projectId", target.project, "--addonId", target.addon, "--backupId", backup)
    lost = cli("restore", "addon", "backup", *at)
    assert (lost.status, "there is no backup" in lost.err) == (1, True)
    origin = ("--sourceProjectId", attached.project, "--sourceAddonId", attached.addon)
    started = cli("restore", "addon", "backup", *at, *origin, "-o", "json").json["restoreId"]
    from_there = {"sourceProjectId": attached.project, "sourceAddonId": attached.addon}
    await_restore(api, f"{target.path}/backups/{backup}", started, **from_there)
    assert postgres.run("SELECT count(*) FROM things", attached.database) == [(ROWS,)]
    listed = cli("get", "addon", "backup", "restores", *at, *origin, "-o", "json").json
    assert [each["id"] for each in listed["restores"]] == [started]


def test_2_a_project_goes_with_what_is_in_it(
    cli: OfficialCli, js: JsClient, api: Api, attach_one: Callable[..., Attached]
) -> None:
    first, second = attach_one(), attach_one()
    said = cli("delete", "project", "--projectId", first.project, "--force")
    assert (said.status, "409" in said.err) == (1, True)
    words = ("--projectId", first.project, "--delete_child_objects", "--force")
    assert cli("delete", "project", *words).status == 0
    place = {"projectId": second.project}
    assert js.call("delete.project", parameters=place)["error"]["status"] == 409
    options = {"delete_child_objects": True}
    assert js.data("delete.project", parameters=place, options=options) == {}
    for each in (first, second):
        assert api.get(f"/projects/{each.project}").status == 404
        assert each.rows(), "the user's database was touched"


def test_2_the_window_of_an_addon_without_archive(cli: OfficialCli, attached: Attached) -> None:
    at = ("--projectId", attached.project, "--addonId", attached.addon)
    window = cli("get", "addon", "pitr-window", *at, "-o", "json")
    assert window.json == {"hasValidWindow": False}
    order = '{"targetTimestamp":"2025-01-01T00:00:00.000Z"}'
    refused = cli("start", "addon", "pitr", *at, "-i", order)
    assert (refused.status, "409" in refused.err) == (1, True)


def test_3_all_pages_end_on_the_command_line(
    cli: OfficialCli, api: Api, attached: Attached
) -> None:
    for number in range(5):
        api.post(f"{attached.path}/backups", {"name": f"page {number}"})
    at = ("--projectId", attached.project, "--addonId", attached.addon)
    listed = cli("get", "addon", "backups", *at, "--per_page", "2", "--loadAll", "-o", "json")
    assert [each["id"] for each in listed.json["backups"]] == [f"page-{n}" for n in (4, 3, 2, 1, 0)]
    empty = cli("list", "addons", "--projectId", api.project(), "-o", "json").json
    assert empty == {"addons": []}


def test_4_the_last_page_has_no_cursor(api: Api) -> None:
    for path in ("/projects?per_page=100", "/backup-destinations", "/tokens?per_page=100"):
        body = api.raw("GET", path).text
        assert '"cursor":null' not in body
        assert '"cursor":""' not in body


def test_5_posts_without_a_body(api: Api, attached: Attached, backup: str) -> None:
    for path in ("/pause", "/resume", "/restart", "/reset"):
        assert api.post(f"{attached.path}{path}").status == 409  # attached: not ours to stop
    one = f"{attached.path}/backups/{backup}"
    assert api.post(f"{one}/retain").data == {}
    assert api.post(f"{one}/abort").status == 409
    assert api.post(f"{attached.path}/backups").data["status"] == "scheduled"
    started = api.post(f"{one}/restore").data["restoreId"]
    await_restore(api, one, started)


def test_6_what_cannot_be_answered_is_an_error_with_a_sentence(api: Api) -> None:
    for method, path, content, status in (
        ("GET", "/nowhere", b"", 404),
        ("POST", "/projects", b"{", 400),
        ("PATCH", "/projects", b"{}", 405),
    ):
        answer = api.ask(method, path, content=content)
        assert (answer.status, bool(answer.error["message"])) == (status, True)


def test_7_a_destination_is_found_by_its_name(
    cli: OfficialCli, api: Api, s3_server: S3Server
) -> None:
    name = fresh("By Name")
    credentials = s3_server.credentials(s3_server.bucket())
    body = {"name": name, "type": "s3", "prefix": "cli/", "credentials": credentials}
    made = cli("add", "backup-destination", "-i", json.dumps(body), "-o", "json").json
    shown = cli("get", "backup-destination", "--backupDestinationId", name, "-o", "json").json
    assert shown["id"] == made["id"]
    listed = cli("list", "backup-destinations", "-o", "json")
    assert made["id"] in listed.out
    assert s3_server.secret_key not in listed.out
    at = ("--backupDestinationId", made["id"])
    assert cli("patch", "backup-destination", *at, "-i", '{"description":"Patched"}').status == 0
    assert api.get(f"/backup-destinations/{made['id']}").data["description"] == "Patched"
    gone = cli("delete", "backup-destination", *at, "--force")
    assert gone.status == 0


def test_8_a_tail_needs_a_token_in_its_first_frame(
    cli: OfficialCli, make_js: Callable[..., JsClient], attached: Attached, backup: str
) -> None:
    at = ("--projectId", attached.project, "--addonId", attached.addon, "--backupId", backup)
    good = cli("get", "addon", "backup", "logs", *at, "-f")
    assert (good.status, "completed" in good.out + good.err) == (0, True)
    parameters = {**attached.place, "backupId": backup}
    events = make_js(token="hft_no").tail("get.addon.backup.logTail", parameters=parameters)
    assert "unknown, expired or revoked" in str(events[-1])


def test_8_a_tail_of_a_spent_token_fails_on_the_command_line(
    fresh_cli: OfficialCli, api: Api, attached: Attached, backup: str
) -> None:
    made = api.post("/tokens", {"name": fresh("Spent"), "role": "owner"}).data
    fresh_cli("login", "-n", "x", "-t", made["token"], "--host", api.url)
    api.delete(f"/tokens/{made['id']}")
    at = ("--projectId", attached.project, "--addonId", attached.addon, "--backupId", backup)
    said = fresh_cli("get", "addon", "backup", "logs", *at, "-f")
    assert (said.status, "unknown, expired or revoked" in said.out + said.err) == (1, True)


class CuttingProxy:
    """Passes requests on and hangs up on the first POST after its answer came back."""

    def __init__(self, target: str) -> None:
        place = urlsplit(target)
        self._target = (place.hostname or "", place.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.posts = 0

    def serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with closing(client):
                self._one(client)

    def _one(self, client: socket.socket) -> None:
        """The JavaScript client opens a connection per request."""
        request = self._read(client)
        with socket.create_connection(self._target) as server:
            server.sendall(request.replace(b"Connection: keep-alive", b"Connection: close"))
            answer = b""
            while chunk := server.recv(65536):
                answer += chunk
        self.posts += request.startswith(b"POST")
        if not (request.startswith(b"POST") and self.posts == 1):
            client.sendall(answer)

    def _read(self, client: socket.socket) -> bytes:
        request = b""
        while b"\r\n\r\n" not in request:
            request += client.recv(65536)
        head, _, body = request.partition(b"\r\n\r\n")
        lengths = [
            int(line.partition(b":")[2])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ]
        while lengths and len(body) < lengths[0]:
            body += client.recv(65536)
        return head + b"\r\n\r\n" + body

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def cutting(target: str) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(target)
    serving = threading.Thread(target=proxy.serve)
    serving.start()
    try:
        yield proxy
    finally:
        proxy.close()
        serving.join()


def test_9_a_post_whose_answer_was_lost_is_one_backup(
    make_js: Callable[..., JsClient], api: Api, attached: Attached
) -> None:
    with cutting(api.url) as proxy:
        js = make_js(host=proxy.url)
        order = {"name": "Cut once", "backupType": "dump"}
        made = js.data("backup.addon", parameters=attached.place, data=order)
        assert proxy.posts == 2, "the client did not try again"
    listed = api.get(f"{attached.path}/backups").data["backups"]
    assert [each["id"] for each in listed] == [made["id"]]
    await_backup(api, f"{attached.path}/backups/{made['id']}")
