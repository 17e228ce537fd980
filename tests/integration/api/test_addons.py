"""A1 to A6, A10 to A12 on attached servers, and what the create body may not hold."""

import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from fixtures.attached import Attached, Own
from fixtures.bodies import BILLING
from fixtures.holdfast import Api, Server, free_port, fresh

pytestmark = pytest.mark.sqlite_first


def test_the_types_say_what_can_be_done_here(api: Api) -> None:
    kinds = {each["type"]: each for each in api.get("/addon-types").data["addonTypes"]}
    kind = kinds["postgresql"]
    assert {"backupsDump", "customDBName", "forkAddon", "importDump", "importLive"} <= set(
        kind["features"]
    )
    assert all(isinstance(can, bool) for can in kind["features"].values())
    assert kind["major"]
    assert all(isinstance(mb, int) for mb in kind["resources"]["storage"]["options"])


def test_the_life_of_an_attached_addon(api: Api, attached: Attached) -> None:
    (item,) = api.get(f"/projects/{attached.project}/addons").data["addons"]
    assert item["id"] == attached.addon
    assert item["appId"].endswith(f"/{attached.project}/{attached.addon}")
    assert item["status"] == "running"
    shown = api.get(attached.path).data
    assert shown["spec"]["config"].keys() == {
        *("versionTag", "lifecycleStatus", "deployment", "networking")
    }
    assert api.get(f"/projects/{attached.project}").data["addons"][0]["id"] == attached.addon
    patched = api.patch(attached.path, {"description": "New", "tags": ["a", "b"]}).data
    assert (patched["description"], patched["tags"]) == ("New", ["a", "b"])
    assert "password" not in str(patched).lower()
    assert api.get(f"{attached.path}/containers").data == {"containers": []}
    assert api.get(f"{attached.path}/logs").data == []
    assert api.get(f"{attached.path}/version").data["upgradeTo"] == []
    answer = api.post(f"{attached.path}/version", {"version": "18"})
    assert (answer.status, answer.error["id"]) == (409, "conflict")
    for verb in ("pause", "resume", "restart", "reset"):
        assert api.post(f"{attached.path}/{verb}").status == 409
    assert api.delete(attached.path).data == {}
    assert api.get(attached.path).status == 404
    assert api.delete(attached.path).status == 404
    assert attached.rows(), "the user's own database was touched"


def test_put_creates_and_then_updates(api: Api, own_postgres: Own) -> None:
    path = f"/projects/{api.project()}/addons"
    address = own_postgres.postgres.url(own_postgres.database)
    body = {"name": "Put me", "type": "postgresql", "connectionString": address}
    first = api.put(path, body).data
    second = api.put(path, {**body, "description": "Again"}).data
    assert (first["id"], second["description"]) == (second["id"], "Again")
    assert len(api.get(path).data["addons"]) == 1


def test_a_taken_name_is_a_409(api: Api, attached: Attached) -> None:
    address = attached.postgres.url(attached.database)
    body = {"type": "postgresql", "connectionString": address}
    name = api.get(attached.path).data["name"].upper()
    answer = api.post(f"/projects/{attached.project}/addons", {**body, "name": name})
    assert (answer.status, list(answer.details)) == (409, ["name"])


def test_one_that_is_refused_leaves_a_line_in_the_log(api: Api, server: Server) -> None:
    name = fresh("Away")
    string = f"postgresql://ann:not-for-logs@127.0.0.1:{free_port()}/shop"
    body = {"name": name, "type": "postgresql", "connectionString": string}
    refused = api.post(f"/projects/{api.project()}/addons", body)
    assert refused.status == 400
    (line,) = [line for line in server.log.read_text().splitlines() if name in line]
    told = json.loads(line)
    assert (told["event"], told["level"]) == ("an addon was not created", "warning")
    assert told["error"] == refused.error["message"]
    assert told["error"].endswith(": Connection refused")
    assert "not-for-logs" not in line


def test_the_credentials_open_the_database(api: Api, own_postgres: Own) -> None:
    """Whatever characters are in them."""
    password = "p@ss/w:o?r#d %41'\"\\"
    postgres, user = own_postgres.postgres, "we@ird/us:er"
    postgres.run(f'DROP ROLE IF EXISTS "{user}"')
    quoted = password.replace("'", "''")
    postgres.run(f"CREATE ROLE \"{user}\" SUPERUSER LOGIN PASSWORD '{quoted}'")
    address = psycopg.conninfo.conninfo_to_dict(postgres.url(own_postgres.database))
    assert address["user"] == "postgres"
    sent = (
        f"postgresql://we%40ird%2Fus%3Aer:p%40ss%2Fw%3Ao%3Fr%23d%20%2541%27%22%5C"
        f"@127.0.0.1:{postgres.port}/{own_postgres.database}?sslmode=disable"
    )
    path = f"/projects/{api.project()}/addons"
    try:
        made = api.post(path, {"name": "Odd", "type": "postgresql", "connectionString": sent}).data
        shown = api.get(f"{path}/{made['id']}/credentials").data
        assert (shown["secrets"]["USERNAME"], shown["secrets"]["PASSWORD"]) == (user, password)
        assert shown["envs"]["PORT"] == str(postgres.port)
        with psycopg.connect(shown["secrets"]["POSTGRES_URI"]) as connection:
            assert connection.execute("SELECT current_user").fetchone() == (user,)
    finally:
        postgres.run(f'DROP ROLE "{user}"')


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda url, pg: url.replace(pg.password, "wrong-secret"), "password"),
        (lambda url, pg: url.replace("/postgres", "/nowhere"), "nowhere"),
        (lambda url, pg: url.replace(str(pg.port), str(free_port())), "127.0.0.1"),
        (lambda url, pg: url.replace("127.0.0.1", "no-such-host.invalid"), "no-such-host.invalid"),
        (lambda url, pg: url.replace("postgres:", "nobody:", 1), ""),
        (lambda url, pg: "mysql://a:b@c/d", "postgresql://"),
        (lambda url, pg: "nonsense", "postgresql://"),
        (lambda url, pg: "postgresql://h:notaport/x", ""),
        (lambda url, pg: f"{url}?options=-c%20x", "options"),
        (lambda url, pg: "postgresql:///x?host=a,b", ""),
    ],
)
def test_a_wrong_address_is_a_400_that_says_which(
    api: Api, own_postgres: Own, wrong: Callable[..., str], says: str
) -> None:
    postgres = own_postgres.postgres
    address = wrong(postgres.url("postgres"), postgres)
    body = {"name": "Wrong", "type": "postgresql", "connectionString": address}
    project = api.project()
    answer = api.post(f"/projects/{project}/addons", body)
    assert (answer.status, list(answer.details)) == (400, ["connectionString"])
    assert says in answer.error["message"]
    assert postgres.password not in str(answer.body)
    assert "wrong-secret" not in str(answer.body)
    assert api.get(f"/projects/{project}/addons").data["addons"] == []


def test_a_missing_privilege_is_a_400_that_names_it(api: Api, own_postgres: Own) -> None:
    postgres, user = own_postgres.postgres, "weak_one"
    postgres.run(f"DROP ROLE IF EXISTS {user}")
    postgres.run(f"CREATE ROLE {user} LOGIN PASSWORD 'weak'")
    try:
        address = postgres.url(own_postgres.database, user, "weak")
        body = {"name": "Weak", "type": "postgresql", "connectionString": address}
        answer = api.post(f"/projects/{api.project()}/addons", body)
        assert (answer.status, list(answer.details)) == (400, ["connectionString"])
        assert "things" in answer.error["message"] or "pg_read_all_data" in answer.error["message"]
    finally:
        postgres.run(f"DROP ROLE {user}")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "x"}, "name"),
        ({"name": "a;b"}, "name"),
        ({"name": "$(touch /tmp/x)"}, "name"),
        ({"type": None}, "type"),
        ({"type": "oracle"}, "type"),
        ({"type": ""}, "type"),
        ({"version": "9.6"}, "version"),
        ({"version": "latest; rm"}, "version"),
        ({"billing": None}, "billing"),
        ({"billing": {"storage": 1, "replicas": 1}}, "billing.deploymentPlan"),
        ({"billing": {**BILLING, "storage": 0}}, "billing.storage"),
        ({"billing": {**BILLING, "storage": "much"}}, "billing.storage"),
        ({"billing": {**BILLING, "replicas": 3}}, "billing.replicas"),
        ({"description": "<b>"}, "description"),
        ({"tags": [""]}, "tags[0]"),
        ({"tags": "no list"}, "tags"),
        ({"tags": ["x" * 101]}, "tags[0]"),
        ({"customCredentials": {"dbName": "a b"}}, "customCredentials.dbName"),
        ({"customCredentials": {"dbName": "a\n"}}, "customCredentials.dbName"),
        ({"customCredentials": {"dbName": "x" * 64}}, "customCredentials.dbName"),
        ({"source": {"addonId": "a", "backupId": "b"}}, "source.addonId"),
        ({"backupSchedules": "daily"}, "backupSchedules"),
        ({"pitrEnabled": "often"}, "pitrEnabled"),
    ],
)
def test_a_bad_setting_is_named(api: Api, change: dict[str, Any], field: str) -> None:
    body = {"name": "Fine", "type": "postgresql", "version": "latest", "billing": BILLING}
    path = f"/projects/{api.project()}/addons"
    answer = api.post(path, {**body, **change})
    assert (answer.status, list(answer.details)) == (400, [field])
    assert api.get(path).data["addons"] == []


def test_settings_of_another_platform_are_ignored(api: Api, own_postgres: Own) -> None:
    address = own_postgres.postgres.url(own_postgres.database)
    body = {"name": fresh("Other"), "type": "postgresql", "connectionString": address}
    more = {"stageId": "x", "infrastructure": {}, "ipPolicies": [], "backupSchedules": []}
    assert api.post(f"/projects/{api.project()}/addons", {**body, **more}).status == 200


def test_an_attached_addon_can_move(api: Api, attached: Attached, empty_postgres: Own) -> None:
    there = empty_postgres.postgres.url(empty_postgres.database)
    moved = api.patch(attached.path, {"connectionString": there}).data
    assert moved["address"]["port"] == empty_postgres.postgres.port
    answer = api.patch(attached.path, {"connectionString": there.replace(":", "!", 1)})
    assert answer.status == 400


def test_deleting_a_project_takes_its_addons_along(api: Api, attached: Attached) -> None:
    answer = api.delete(f"/projects/{attached.project}")
    assert (answer.status, answer.details) == (409, {"addons": [attached.addon]})
    gone = api.delete(f"/projects/{attached.project}", delete_child_objects="true")
    assert gone.data == {}
    assert api.get(f"/projects/{attached.project}").status == 404
    assert attached.rows()


def test_the_secrets_used_are_nowhere_in_the_log(
    server: Server, api: Api, attached: Attached
) -> None:
    api.get(f"{attached.path}/credentials")
    log = server.log.read_text()
    assert attached.postgres.password not in log
    assert server.token not in log
