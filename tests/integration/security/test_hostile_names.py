"""Names that try to be an option, a path, SQL or a shell: refused, or only ever a name."""

from typing import Any

import pytest

from fixtures.attached import Attached
from fixtures.bodies import BILLING
from fixtures.holdfast import Api, Server, await_backup, fresh
from fixtures.s3 import S3Server
from holdfast.domain.errors import Invalid
from holdfast.engines.mysql.client.address import parse as parse_mysql
from holdfast.engines.postgresql.client.address import parse as parse_postgresql
from holdfast.engines.redis.client.address import parse as parse_redis

pytestmark = pytest.mark.sqlite_first

HOSTILE = [
    "--help",
    "-rf",
    "../../etc",
    "a/../../b",
    "/etc/passwd",
    "x'; DROP TABLE projects; --",
    'x" OR "1"="1',
    "$(touch /tmp/pwned)",
    "`id`",
    "a\nb",
    "a\r\nX-Injected: 1",
    "%2e%2e%2f",
    "a\x7fb",
    "\u202egnp",
    "~root",
    "*",
]


@pytest.mark.parametrize("name", [each for each in HOSTILE if each != "a\nb"])
def test_names_of_projects_addons_backups_roles_and_databases(
    api: Api, attached: Attached, name: str
) -> None:
    addons = f"/projects/{attached.project}/addons"
    managed = {"name": "Fine", "type": "postgresql", "billing": BILLING}
    asked: list[tuple[str, dict[str, Any]]] = [
        ("/projects", {"name": name}),
        (addons, {**managed, "name": name}),
        (addons, {**managed, "customCredentials": {"dbName": name}}),
        (addons, {**managed, "version": name}),
        (addons, {**managed, "type": name}),
        (addons, {"name": "Fine", "type": "mysql", "connectionString": name}),
        (f"{attached.path}/backups", {"name": name, "backupType": "dump"}),
        (f"{attached.path}/backups", {"backupType": name}),
        (f"{attached.path}/backups", {"backupType": "dump", "compressionType": name}),
        (f"{attached.path}/backups", {"backupType": "dump", "customDestinationId": name}),
        (f"{attached.path}/uploads", {"sha256": name}),
        (f"{attached.path}/import", {"uploadId": name}),
        ("/roles", {"name": name, "permissions": ["Organisation > Team > General > Read"]}),
    ]
    for path, body in asked:
        answer = api.post(path, body)
        assert answer.status == 400, (path, body, answer.body)
        assert answer.details
    assert api.get("/projects").status == 200


def test_white_space_that_the_reference_allows_stays_in_the_name_alone(api: Api) -> None:
    made = api.post("/projects", {"name": fresh("Two\nlines")}).data
    assert "\n" in made["name"]
    assert made["id"].startswith("two-lines-")


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("field", ["interval", "minute", "hour", "day"])
def test_schedules_hold_numbers_and_known_words(
    api: Api, attached: Attached, field: str, name: str
) -> None:
    when: dict[str, Any] = {"interval": "weekly", "minute": [1], "hour": [1], "day": [1]}
    for value in (name, [name]):
        body = {
            "backupType": "dump",
            "retentionTime": 1,
            "scheduling": {**when, field: value},
        }
        assert api.post(f"{attached.path}/backup-schedules", body).status == 400


@pytest.mark.parametrize("name", [*HOSTILE, "a/b/", "a/../", "//", ".", "a//", "a/\n"])
def test_prefixes_buckets_and_regions_of_destinations(api: Api, name: str) -> None:
    credentials = {
        "accessKey": "a",
        "secretKey": "s",
        "bucketName": "bucket",
        "region": "r",
        "endpoint": "http://127.0.0.1:1",
    }
    fine = {"name": fresh("Fine"), "type": "s3", "prefix": "", "credentials": credentials}
    for body in (
        {**fine, "prefix": name},
        {**fine, "name": name},
        {**fine, "credentials": {**credentials, "bucketName": name}},
        {**fine, "credentials": {**credentials, "region": name}},
        {**fine, "credentials": {**credentials, "endpoint": f"http://{name}"}},
    ):
        answer = api.post("/backup-destinations", body)
        assert answer.status == 400, body


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://169.254.169.254",
        "http://169.254.169.254/latest/meta-data",
        "169.254.170.2",
        "http://0xA9FEA9FE",
        "http://2852039166",
        "http://[fe80::1]",
        "http://[::ffff:169.254.169.254]:80",
        "http://[fd00:ec2::254]",
        "http://0.0.0.0:9000",
    ],
)
def test_a_destination_is_never_what_a_cloud_tells_its_machines(api: Api, endpoint: str) -> None:
    credentials = {"accessKey": "a", "secretKey": "s", "bucketName": "bucket", "region": "r"}
    body = {"name": fresh("Cloud"), "type": "s3", "prefix": ""}
    answer = api.post(
        "/backup-destinations", {**body, "credentials": {**credentials, "endpoint": endpoint}}
    )
    assert answer.status == 400
    assert list(answer.details) == ["credentials.endpoint"]
    assert "link-local" in answer.error["message"]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("postgresql", "postgresql://u:p@169.254.169.254:80/d"),
        ("mongodb", "mongodb://u:p@127.0.0.1,169.254.169.254:80/d"),
        ("mysql", "mysql://u:p@2852039166:80/d"),
        ("redis", "redis://[fe80::1]:80"),
    ],
)
def test_an_addon_is_never_what_a_cloud_tells_its_machines(
    api: Api, attached: Attached, kind: str, text: str
) -> None:
    body = {"name": fresh("Cloud"), "type": kind, "connectionString": text}
    answer = api.post(f"/projects/{attached.project}/addons", body)
    assert (answer.status, list(answer.details)) == (400, ["connectionString"])
    assert "link-local" in answer.error["message"]
    if kind == "postgresql":
        assert api.patch(attached.path, {"connectionString": text}).details == answer.details
        made = api.post(f"{attached.path}/import", {"connectionString": text}).data["id"]
        failed = await_backup(api, f"{attached.path}/backups/{made}", "failed")
        assert "link-local" in failed["reason"]


def test_an_existing_destination_cannot_be_moved_there(api: Api, s3_server: S3Server) -> None:
    credentials = s3_server.credentials(s3_server.bucket())
    body = {"name": fresh("Moving"), "type": "s3", "prefix": "", "credentials": credentials}
    made = api.post("/backup-destinations", body).data["id"]
    moved = {"credentials": {**credentials, "endpoint": "http://169.254.169.254"}}
    assert api.patch(f"/backup-destinations/{made}", moved).status == 400
    assert api.delete(f"/backup-destinations/{made}").data == {}


@pytest.mark.parametrize(
    ("kind", "tail"),
    [
        ("postgresql", "postgresql://u:p@127.0.0.1:1/d?sslkey={}&sslcert={}"),
        ("postgresql", "postgresql://u:p@127.0.0.1:1/d?sslrootcert={}"),
        ("mysql", "mysql://u:p@127.0.0.1:1/d?ssl-ca={}"),
        ("redis", "rediss://127.0.0.1:1/0?ssl_certfile={}&ssl_keyfile={}"),
    ],
)
@pytest.mark.parametrize(
    "file", ["/etc/ssl/private/ssl-cert-snakeoil.key", "/no/such/file", "own.key", "{}/../../x.key"]
)
def test_a_connection_string_names_no_file_that_the_operator_does_not_allow(
    server: Server, api: Api, attached: Attached, kind: str, tail: str, file: str
) -> None:
    """Attached, moved or imported, there or not: the answer is the same, and nobody is asked."""
    allowed = server.data_dir / "certificates"
    text = tail.replace("{}", file.replace("{}", str(allowed)))
    body = {"name": fresh("Addon"), "type": kind, "connectionString": text}
    said = api.post(f"/projects/{attached.project}/addons", body)
    assert (said.status, "HOLDFAST_CERTIFICATE_ROOTS" in said.error["message"]) == (400, True)
    if kind == "postgresql":
        moved = api.patch(attached.path, {"connectionString": text})
        taken = api.post(f"{attached.path}/import", {"connectionString": text})
        assert moved.details == taken.details == said.details
    good = {**body, "connectionString": tail.replace("{}", f"{allowed}/own.key")}
    answer = api.post(f"/projects/{attached.project}/addons", good)
    assert (answer.status, "CERTIFICATE" in answer.error["message"]) == (400, False), "nobody there"


@pytest.mark.parametrize("path", ["/var/run/postgresql", "/run/mysqld/mysqld.sock", "@abstract"])
def test_a_socket_where_we_would_be_our_own_user_is_no_address(path: str) -> None:
    named = path.replace("/", "%2F").replace("@", "%40")
    for parse, scheme in (
        (parse_postgresql, "postgresql"),
        (parse_mysql, "mysql"),
        (parse_redis, "redis"),
    ):
        with pytest.raises(Invalid, match="not a socket"):
            parse(f"{scheme}://user:password@{named}/db")
    with pytest.raises(Invalid, match="not a socket"):
        parse_postgresql(f"postgresql://user:password@/db?host={named}")


def test_settings_of_a_connection_string_go_no_further() -> None:
    assert parse_postgresql("postgresql://u:p@h/db?options=-c%20role%3Dx").options == {}


@pytest.mark.parametrize(
    "tail", ["?options=-d%205", "?passfile=/etc/passwd", "?service=x", "?hostaddr=10.0.0.1"]
)
def test_a_connection_string_brings_no_settings_of_its_own(tail: str) -> None:
    with pytest.raises(Invalid, match="not supported"):
        parse_postgresql(f"postgresql://u:p@h/db{tail}")
    with pytest.raises(Invalid, match="not supported"):
        parse_mysql(f"mysql://u:p@h/db{tail}")
    with pytest.raises(Invalid, match="not supported"):
        parse_redis(f"redis://u:p@h/0{tail}")
