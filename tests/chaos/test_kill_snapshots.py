"""kill -9 at every step of a snapshot, its copy, its restore and tidying: all converges, once."""

from typing import Any

import pytest

from chaos.test_kill import wait_for_death
from fixtures.holdfast import await_backup, await_restore, await_that, fresh
from fixtures.mortal_installation import ADDON, BACKUPS, ROWS, MortalInstallation

SNAPSHOT_POINTS = [
    "look:before",
    "capture:before",
    "capture:during",
    "capture:after",
    "check:before",
    "check:after",
    "seal:before",
    "seal:after",
    "publish:before",
]
COPY_POINTS = [
    "find:before",
    "copy:before",
    "copy:during",
    "copy:after",
    "check:before",
    "seal:before",
    "seal:after",
    "publish:before",
]
REWIND_POINTS = [
    "read:before",
    "preflight:before",
    "fetch:before",
    "fetch:during",
    "fetch:after",
    "rehearse:before",
    "rehearse:after",
    "swap:before",
    "move:1",
    "move:2",
    "move:3",
    "move:4",
    "move:5",
    "swap:after",
    "publish:before",
]
UNDO_POINTS = [
    "put back:after",
    *(
        pytest.param(point, marks=pytest.mark.slow)
        for point in (
            "look:before",
            "put back:before",
            "move:1",
            "move:2",
            "move:3",
            "move:4",
            "move:5",
            "publish:before",
        )
    ),
]
TIDY_POINTS = ["tidy:before", "tidy:after", "publish:before"]


IN_THE_SLOW_RUN = (
    "move:1",
    "move:2",
    "move:3",
    "move:5",
    "fetch:during",
    "fetch:after",
    "copy:after",
    "capture:after",
    "check:after",
    "rehearse:after",
    "seal:after",
    "tidy:after",
)


def some(points: list[str]) -> list[Any]:
    """A death before a step finds what one after the step before it finds, but for a record that
    was saved: the slow run tries those, too, and some of several alike."""
    return [
        pytest.param(point, marks=pytest.mark.slow)
        if (point.endswith(":before") and not point.startswith("publish"))
        or point in IN_THE_SLOW_RUN
        else point
        for point in points
    ]


@pytest.fixture
def installation(mortal_installation: MortalInstallation) -> MortalInstallation:
    return mortal_installation


@pytest.mark.parametrize("point", some(SNAPSHOT_POINTS))
def test_a_snapshot_survives_the_death_of_its_worker(
    installation: MortalInstallation, point: str
) -> None:
    name = fresh("S").replace(" ", "-").lower()
    mortal = installation.start_mortal(f"snapshot:{point}")
    installation.change()
    assert mortal.api().post(BACKUPS, {"name": name}).data["status"] == "scheduled"
    wait_for_death(mortal)
    server = installation.start()
    try:
        api = server.api()
        await_backup(api, f"{BACKUPS}/{name}")
        evidence = api.get(f"{BACKUPS}/{name}/evidence").data
        assert all(check["passed"] for check in evidence["checks"])
        log = [line["log"] for line in api.get(f"{BACKUPS}/{name}/logs").data]
        assert "taken over: attempt 2" in log
        assert log.count("completed") == 1
        assert installation.sql("SELECT count(*) FROM pg_replication_slots") == [(0,)]
        assert installation.sql("SELECT count(*) FROM pg_stat_replication") == [(0,)]
        installation.require_sound_repositories(api)
        passphrase, url = installation.repositories["/platform-store"]
        listed = installation.restic(url, passphrase, "snapshots", "--json")
        assert listed.count(evidence["snapshot"]) == 1
    finally:
        installation.kill()


@pytest.mark.parametrize("point", some(COPY_POINTS))
def test_a_copy_survives_the_death_of_its_worker(
    installation: MortalInstallation, point: str
) -> None:
    name = fresh("C").replace(" ", "-").lower()
    mortal = installation.start_mortal(f"copy:{point}")
    if point.endswith(":during"):  # it dies after a megabyte that the place does not have
        installation.sql(
            "INSERT INTO t SELECT -g, md5(random()::text) || md5(random()::text)"
            " FROM generate_series(1, 40000) g",
        )
    installation.change()
    mortal.api().post(BACKUPS, {"name": name, "additionalDestinations": installation.additional})
    wait_for_death(mortal)
    server = installation.start()
    try:
        api = server.api()

        def there() -> Any:
            item = next(item for item in installation.copies() if item["id"] == name)
            return item["status"] == "completed"

        await_that(there)
        assert api.get(f"{BACKUPS}/{name}").data["status"] == "completed"
        installation.require_sound_repositories(api)
    finally:
        installation.kill()


@pytest.mark.parametrize("point", some(REWIND_POINTS))
def test_a_restore_in_place_survives_the_death_of_its_worker(
    installation: MortalInstallation, point: str
) -> None:
    mortal = installation.start_mortal(f"rewind:{point}")
    restore = installation.begin_good_restore()
    wait_for_death(mortal)
    server = installation.start()
    try:
        api = server.api()
        found = await_restore(api, f"{BACKUPS}/good", restore)
        assert found["report"]["files"] > 500
        assert installation.sql("SELECT now FROM state") == [("snapshot",)]
        assert installation.sql("SELECT count(*), count(DISTINCT m) FROM t") == [(ROWS, ROWS)]
        assert installation.leftovers() == []
        await_that(lambda: api.get(ADDON).data["status"] == "running")
    finally:
        installation.kill()


@pytest.mark.parametrize("point", UNDO_POINTS)
def test_an_undo_survives_the_death_of_its_worker(
    installation: MortalInstallation, point: str
) -> None:
    server = installation.start()
    try:
        api = server.api()
        restore = installation.begin_good_restore(keepOldHours=24)
        await_restore(api, f"{BACKUPS}/good", restore)
    finally:
        server.stop()
    mortal = installation.start_mortal(f"undo:{point}")
    asked = mortal.api().post(f"{BACKUPS}/good/undo-restore", {"restoreId": restore})
    wait_for_death(mortal)
    server = installation.start()
    try:
        api = server.api()
        await_restore(api, f"{BACKUPS}/good", asked.data["restoreId"])
        assert installation.sql("SELECT now FROM state") == [("later",)]
        assert installation.leftovers() == []
        await_that(lambda: api.get(ADDON).data["status"] == "running")
    finally:
        installation.kill()


def test_a_server_that_does_not_answer_makes_way_for_the_old_one(
    installation: MortalInstallation,
) -> None:
    installation.start_mortal("rewind:nowhere:never", MORTAL_START="fail")
    try:
        restore = installation.begin_good_restore()
        found = installation.await_restore_over(f"{BACKUPS}/good", restore)
        assert found["status"] == "failed"
        assert "does not answer in this test" in found["reason"]
        assert "put back as it was" in found["reason"]
        assert installation.sql("SELECT now FROM state") == [("later",)]
        assert installation.leftovers() == []
    finally:
        installation.kill()


@pytest.mark.parametrize(
    "move", ["4", pytest.param("5", marks=pytest.mark.slow)]
)  # the fourth and fifth change go back
def test_going_back_survives_the_death_of_its_worker(
    installation: MortalInstallation, move: str
) -> None:
    mortal = installation.start_mortal(f"rewind:move:{move}", MORTAL_START="fail")
    restore = installation.begin_good_restore()
    wait_for_death(mortal)
    server = installation.start()
    try:
        api = server.api()
        found = installation.await_restore_over(f"{BACKUPS}/good", restore)
        state = "snapshot" if found["status"] == "completed" else "later"
        assert installation.sql("SELECT now FROM state") == [(state,)]
        assert installation.leftovers() == []
        await_that(lambda: api.get(ADDON).data["status"] == "running")
    finally:
        installation.kill()


@pytest.mark.parametrize("when", [pytest.param("before", marks=pytest.mark.slow), "after"])
def test_forgetting_survives_the_death_of_its_worker(
    installation: MortalInstallation, when: str
) -> None:
    name = fresh("F").replace(" ", "-").lower()
    mortal = installation.start_mortal(f"forget:remove:{when}")
    api = mortal.api()
    installation.change()
    api.post(BACKUPS, {"name": name})
    await_backup(api, f"{BACKUPS}/{name}")
    forgotten = api.get(f"{BACKUPS}/{name}/evidence").data["snapshot"]
    api.delete(f"{BACKUPS}/{name}")
    wait_for_death(mortal)
    server = installation.start()
    try:
        api = server.api()
        installation.require_sound_repositories(api)
        passphrase, url = installation.repositories["/platform-store"]
        await_that(
            lambda: forgotten not in installation.restic(url, passphrase, "snapshots", "--json")
        )
        good = api.get(f"{BACKUPS}/good/evidence").data["snapshot"]
        assert good in installation.restic(url, passphrase, "snapshots", "--json")
        undone = "SELECT count(*) FROM deletions WHERE done IS NULL"
        await_that(lambda: installation.catalogue(undone) == [(0,)])
    finally:
        installation.kill()


@pytest.mark.parametrize("point", some(TIDY_POINTS))
def test_tidying_survives_the_death_of_its_worker(
    installation: MortalInstallation, point: str
) -> None:
    mortal = installation.start_mortal(f"tidy:{point}")
    installation.catalogue("UPDATE repositories SET tidy_due = 1, tidied = NULL")
    wait_for_death(mortal)
    server = installation.start()
    try:
        api = server.api()
        await_that(
            lambda: (
                installation.catalogue("SELECT count(*) FROM repositories WHERE tidied IS NULL")
                == [(0,)]
            )
        )
        installation.require_sound_repositories(api)
    finally:
        installation.kill()
