"""The official command line at a terminal: what it was not told it asks for, in this order, and our
answers to its questions keep it going."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.attached import Attached
from fixtures.bodies import WEEKLY
from fixtures.holdfast import Api, Server, await_backup, await_restore, fresh
from fixtures.official import OfficialCli
from fixtures.s3 import S3Server

pytestmark = pytest.mark.sqlite_first

PROJECT, ADDON = "Choose the project to use:", "Choose the addon to use:"
DESTINATION = "Choose the backup destination to use:"
CONFIRM = "Please confirm following configuration:"
IRREVERSIBLE = "This is irreversible. Please confirm!"


@pytest.fixture
def alone(
    official_clients: Path,
    tmp_path: Path,
    server: Server,
    attached: Attached,
    token_of: Callable[..., Api],
) -> OfficialCli:
    """Logged in as one who sees a single project, so that every list begins with what is meant."""
    cli = OfficialCli(tmp_path, official_clients)
    token = token_of("owner", projects=[attached.project]).token or ""
    said = cli("login", "-n", "alone", "-t", token, "--host", server.url)
    assert "success" in (said.out + said.err).lower()
    return cli


def test_a_backup_is_chosen_step_by_step(
    alone: OfficialCli, attached: Attached, backup: str
) -> None:
    with alone.at_terminal("get", "addon", "backup") as terminal:
        terminal.answer(PROJECT)
        terminal.answer(ADDON)
        terminal.answer("Choose the backups to use:")
        terminal.expect(f"addonId={attached.addon}, backupId={backup}")
        terminal.expect("status: 'completed'")
        assert terminal.end() == 0


def test_a_backup_is_made_from_answers(alone: OfficialCli, api: Api, attached: Attached) -> None:
    with alone.at_terminal("backup", "addon") as terminal:
        terminal.answer(PROJECT)
        terminal.answer(ADDON)
        terminal.answer("use as name", "From a terminal")
        terminal.answer("use as backupType", "\x1b[B")
        terminal.answer("use as compressionType")
        terminal.answer("add additionalDestinations")
        terminal.answer(CONFIRM)
        terminal.expect("status: 'scheduled'")
        assert terminal.end() == 0
    made = await_backup(api, f"{attached.path}/backups/from-a-terminal")
    assert made["config"]["source"] == {"type": "sameAddon"}, "a dump was chosen"


@pytest.mark.slow
def test_a_body_that_is_given_is_not_asked_for(
    alone: OfficialCli, api: Api, attached: Attached
) -> None:
    with alone.at_terminal("backup", "addon", "-i", "{}") as terminal:
        terminal.answer(PROJECT)
        terminal.answer(ADDON)
        terminal.expect("status: 'scheduled'")
        assert terminal.end() == 0
    assert len(api.get(f"{attached.path}/backups").data["backups"]) == 1


def test_a_schedule_is_deleted_only_after_a_yes(
    alone: OfficialCli, api: Api, attached: Attached
) -> None:
    order = {"scheduling": WEEKLY, "backupType": "dump", "retentionTime": 7}
    schedule = api.post(f"{attached.path}/backup-schedules", order).data["id"]
    for answer, left in (("n", 1), ("y", 0)):
        with alone.at_terminal("delete", "addon", "backup-schedule") as terminal:
            terminal.answer(PROJECT)
            terminal.answer(ADDON)
            terminal.answer("Enter the scheduleId", schedule)
            terminal.answer(IRREVERSIBLE, answer)
            assert terminal.end() == 0
        found = api.get(f"{attached.path}/backup-schedules").data["schedules"]
        assert len(found) == left


@pytest.mark.slow
def test_a_chosen_project_is_used_from_then_on(alone: OfficialCli, attached: Attached) -> None:
    with alone.at_terminal("context", "use", "project") as terminal:
        terminal.answer(PROJECT)
        terminal.expect(f"Use project with id: {attached.project}")
        assert terminal.end() == 0
    listed = alone("list", "addons", "-o", "json").json["addons"]
    assert [each["id"] for each in listed] == [attached.addon]


def test_an_empty_list_ends_the_questions(alone: OfficialCli, api: Api, attached: Attached) -> None:
    api.delete(attached.path)
    with alone.at_terminal("get", "addon") as terminal:
        terminal.answer(PROJECT)
        terminal.expect("No addon for this project")
        assert terminal.end() == 1


def test_10_a_destination_is_added_from_answers(
    cli: OfficialCli, api: Api, s3_server: S3Server
) -> None:
    """`region` makes the client ask for regions; only because that is a 404 it goes on."""
    name, bucket = fresh("Typed"), s3_server.bucket()
    with cli.at_terminal("add", "backup-destination") as terminal:
        terminal.answer("use as name", name)
        terminal.answer("use as description")
        terminal.answer("use as type")
        terminal.answer("use as prefix", "typed/")
        terminal.answer("use as accessKey", s3_server.access_key)
        terminal.answer("use as secretKey", s3_server.secret_key)
        terminal.answer("use as bucketName", bucket)
        terminal.answer("use as region", s3_server.region)
        terminal.answer("use as endpoint", s3_server.endpoint)
        terminal.answer(CONFIRM)
        assert terminal.end() == 0, terminal.shown
    made = api.get(f"/backup-destinations/{name}").data
    assert (made["prefix"], made["credentials"]["bucketName"]) == ("typed/", bucket)

    with cli.at_terminal("get", "backup-destination") as terminal:
        terminal.answer("to use:")
        terminal.expect(f"backupDestinationId={name}")
        terminal.expect(f"id: '{made['id']}'")
        assert terminal.end() == 0
    assert api.delete(f"/backup-destinations/{made['id']}").data == {}


@pytest.mark.slow
def test_more_pages_are_offered(alone: OfficialCli, api: Api, attached: Attached) -> None:
    for name in ("one", "two", "three"):
        api.post(f"{attached.path}/backups", {"name": f"page {name}"})
    at = ("--projectId", attached.project, "--addonId", attached.addon)
    with alone.at_terminal("get", "addon", "backups", *at, "--per_page", "2") as terminal:
        terminal.expect("page-three")
        terminal.answer("load", "y")
        terminal.expect("page-one")
        assert terminal.end() == 0


def test_a_restore_is_chosen_step_by_step(
    alone: OfficialCli, api: Api, attached: Attached, backup: str
) -> None:
    one = f"{attached.path}/backups/{backup}"
    restore = api.post(f"{one}/restore").data["restoreId"]
    await_restore(api, one, restore)
    with alone.at_terminal("get", "addon", "restores", "logs") as terminal:
        terminal.answer(PROJECT)
        terminal.answer(ADDON)
        terminal.answer("Choose the backup")
        terminal.answer("Choose the restore")
        terminal.expect("completed")
        assert terminal.end() == 0


@pytest.mark.slow
def test_the_restore_to_abort_is_typed(
    alone: OfficialCli, api: Api, attached: Attached, backup: str
) -> None:
    """Nothing lists restores here: what is typed comes to us as it is."""
    with alone.at_terminal("abort", "addon", "restore") as terminal:
        terminal.answer(PROJECT)
        terminal.answer(ADDON)
        terminal.answer("Choose the backup")
        terminal.answer("use as restoreId", "0" * 24)
        terminal.answer(CONFIRM)
        terminal.expect("HTTP status code: 404")
        assert terminal.end() == 1


@pytest.mark.slow
def test_a_destination_is_chosen_by_its_name(
    alone: OfficialCli, api: Api, s3_server: S3Server
) -> None:
    """The newest comes first; the name that was chosen is what is sent as the id."""
    name = fresh("Chosen")
    credentials = s3_server.credentials(s3_server.bucket())
    body = {"name": name, "type": "s3", "prefix": "", "credentials": credentials}
    path = f"/backup-destinations/{api.post('/backup-destinations', body).data['id']}"
    with alone.at_terminal(
        "patch", "backup-destination", "-i", '{"description":"Patched"}'
    ) as terminal:
        terminal.answer(DESTINATION)
        assert terminal.end() == 0
    assert api.get(path).data["description"] == "Patched"
    with alone.at_terminal("list", "backup-destinations-backups") as terminal:
        terminal.answer(DESTINATION)
        terminal.expect("No backup")
        assert terminal.end() == 0
    for answer, status in (("n", 200), ("y", 404)):
        with alone.at_terminal("delete", "backup-destination") as terminal:
            terminal.answer(DESTINATION)
            terminal.answer(IRREVERSIBLE, answer)
            assert terminal.end() == 0
        assert api.get(path).status == status


@pytest.mark.slow
def test_a_project_is_made_from_answers(cli: OfficialCli, api: Api) -> None:
    """Only the name is sent: `region` is asked for, and answered with nothing."""
    name = fresh("Typed")
    with cli.at_terminal("create", "project") as terminal:
        terminal.answer("What's the  type?")
        terminal.answer("use as name", name)
        for asked in ("use as description", "use as color", "use as region", "add networking"):
            terminal.answer(asked)
        terminal.answer(CONFIRM)
        terminal.expect(f"name: '{name}'")
        assert terminal.end() == 0
    made = api.get("/projects", per_page=1).data["projects"][0]
    assert made["name"] == name
    assert api.delete(f"/projects/{made['id']}").data == {}


@pytest.mark.slow
def test_an_addon_is_made_from_answers(alone: OfficialCli, api: Api, attached: Attached) -> None:
    """Types and versions are those of `/v1/addon-types`; everything else is left as it is asked."""
    name = fresh("Typed")
    with alone.at_terminal("create", "addon") as terminal:
        terminal.answer(PROJECT)
        terminal.answer("What's the  type?")
        terminal.answer("use as name", name)
        for asked in ("use as description", "use as projectId", "add tags"):
            terminal.answer(asked)
        terminal.expect("use as type")
        terminal.answer("postgresql")
        for asked in (
            *("use as version", "use as deploymentPlan", "use as storageClass", "use as storage"),
            *("use as replicas", "add zonalRedundancy", "add source", "tlsEnabled"),
            *("externalAccessEnabled", "add ipPolicies", "pitrEnabled", "add typeSpecific"),
            *("add customCredentials", "add backupSchedules", "add metadata"),
        ):
            terminal.answer(asked)
        terminal.answer(CONFIRM)
        terminal.expect("status:")
        assert terminal.end() == 0
    listed = api.get(f"/projects/{attached.project}/addons").data["addons"]
    made = next(each for each in listed if each["name"] == name)
    assert made["spec"]["type"] == "postgresql"
    assert api.delete(f"/projects/{attached.project}/addons/{made['id']}").data == {}


@pytest.mark.slow
def test_a_schedule_is_made_from_answers(alone: OfficialCli, api: Api, attached: Attached) -> None:
    """The schema's defaults, with the two lists that a weekly schedule needs."""
    with alone.at_terminal("create", "addon", "backup-schedule") as terminal:
        terminal.answer(PROJECT)
        terminal.answer(ADDON)
        for asked, typed in (
            *(("use as interval", ""), ("use as minute", ""), ("add more minute", "")),
            *(("add hour", "y"), ("use as hour", ""), ("add more hour", "")),
            *(("add day", "y"), ("use as day", ""), ("add more day", "")),
            *(("use as backupType", ""), ("add additionalDestinations", "")),
            *(("use as compressionType", ""), ("use as retentionTime", "")),
        ):
            terminal.answer(asked, typed)
        terminal.answer(CONFIRM)
        assert terminal.end() == 0
    (made,) = api.get(f"{attached.path}/backup-schedules").data["schedules"]
    assert (made["scheduling"], made["backupType"], made["retentionTime"]) == (
        WEEKLY,
        "snapshot",
        7,
    )


@pytest.mark.slow
def test_a_delete_asks_for_the_project_that_is_in_use(
    alone: OfficialCli, api: Api, attached: Attached
) -> None:
    with alone.at_terminal("context", "use", "project") as terminal:
        terminal.answer(PROJECT)
        assert terminal.end() == 0
    with alone.at_terminal("delete", "addon") as terminal:
        terminal.answer(PROJECT)
        terminal.answer(ADDON)
        terminal.answer(IRREVERSIBLE, "n")
        terminal.expect("not deleted")
        assert terminal.end() == 0
    assert api.get(attached.path).status == 200


def test_a_refused_list_ends_the_questions(
    fresh_cli: OfficialCli, token_of: Callable[..., Api], server: Server
) -> None:
    token = token_of(["Project > Projects > Manage > Read"]).token or ""
    fresh_cli("login", "-n", "x", "-t", token, "--host", server.url)
    with fresh_cli.at_terminal("get", "backup-destination") as terminal:
        terminal.expect("Account > BackupDestinations > General > Read")
        assert terminal.end() == 1
