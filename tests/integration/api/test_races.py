"""Two or more requests for the same thing at the same moment: nothing breaks, nothing doubles."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from fixtures.attached import Attached
from fixtures.holdfast import Answer, Api, await_backup, await_restore, fresh

RACERS = 6


def race(callers: list[Api], ask: Callable[[Api, int], Answer]) -> list[Answer]:
    """All at once, as far as threads can."""
    start = Barrier(len(callers))

    def run(number: int) -> Answer:
        start.wait()
        return ask(callers[number], number)

    with ThreadPoolExecutor(len(callers)) as pool:
        return list(pool.map(run, range(len(callers))))


@pytest.fixture
def strangers(token_of: Callable[..., Api]) -> list[Api]:
    """Tokens of their own, so no answer is given for another's request."""
    return [token_of("owner") for _ in range(RACERS)]


@pytest.fixture
def twins(api: Api) -> list[Api]:
    """The same token, as a client that repeats itself."""
    return [Api(api.url, api.token) for _ in range(RACERS)]


def statuses(answers: list[Answer]) -> dict[int, int]:
    return dict(Counter(answer.status for answer in answers))


def test_creating_a_project(api: Api, strangers: list[Api]) -> None:
    name = fresh("Race")
    found = race(strangers, lambda each, _: each.post("/projects", {"name": name}))
    assert statuses(found) == {200: 1, 409: RACERS - 1}


def test_putting_a_project(strangers: list[Api]) -> None:
    name = fresh("Race")
    found = race(strangers, lambda each, _: each.put("/projects", {"name": name}))
    assert statuses(found) == {200: RACERS}
    assert len({answer.data["id"] for answer in found}) == 1


def test_attaching_an_addon(strangers: list[Api], attached: Attached) -> None:
    body = {
        "name": "Raced",
        "type": "postgresql",
        "connectionString": attached.postgres.url(attached.database),
    }
    path = f"/projects/{attached.project}/addons"
    assert statuses(race(strangers, lambda each, _: each.post(path, body))) == {
        200: 1,
        409: RACERS - 1,
    }


def test_creating_a_backup_of_one_name(strangers: list[Api], attached: Attached) -> None:
    path = f"{attached.path}/backups"
    found = race(strangers, lambda each, _: each.post(path, {"name": "raced"}))
    assert statuses(found) == {200: RACERS}
    expected = ["raced", *(f"raced-{number}" for number in range(2, RACERS + 1))]
    assert sorted(answer.data["id"] for answer in found) == sorted(expected)


def test_repeating_oneself(api: Api, twins: list[Api], attached: Attached) -> None:
    path = f"{attached.path}/backups"
    found = race(twins, lambda each, _: each.post(path, {"name": "same"}))
    assert statuses(found) == {200: RACERS}
    assert len({str(answer.body) for answer in found}) == 1
    assert len(api.get(path).data["backups"]) == 1


def test_aborting(api: Api, strangers: list[Api], attached: Attached) -> None:
    path = f"{attached.path}/backups"
    first = api.post(path, {"name": "running", "backupType": "dump"}).data["id"]
    waiting = api.post(path, {"name": "waiting", "backupType": "dump"}).data["id"]
    found = race(strangers, lambda each, _: each.post(f"{path}/{waiting}/abort"))
    assert statuses(found) == {200: 1, 409: RACERS - 1}
    await_backup(api, f"{path}/{waiting}", "aborted")
    await_backup(api, f"{path}/{first}")


def test_deleting_a_backup(strangers: list[Api], attached: Attached, backup: str) -> None:
    path = f"{attached.path}/backups/{backup}"
    assert statuses(race(strangers, lambda each, _: each.delete(path))) == {409: RACERS}
    found = race(strangers, lambda each, _: each.delete(path, force="true"))
    assert statuses(found) == {200: 1, 404: RACERS - 1}


def test_of_two_good_backups_one_stays(
    api: Api, strangers: list[Api], attached: Attached, backup: str
) -> None:
    """Each is deletable while the other is there: who comes second must see that."""
    path = f"{attached.path}/backups"
    other = api.post(path, {"name": "Other", "backupType": "dump"}).data["id"]
    await_backup(api, f"{path}/{other}")
    both = (backup, other)
    found = race(strangers, lambda each, number: each.delete(f"{path}/{both[number % 2]}"))
    assert statuses(found)[200] == 1
    assert len(api.get(path).data["backups"]) == 1


def test_deleting_an_addon(strangers: list[Api], attached: Attached) -> None:
    found = race(strangers, lambda each, _: each.delete(attached.path))
    assert statuses(found) == {200: 1, 404: RACERS - 1}


def test_deleting_a_project(api: Api, strangers: list[Api]) -> None:
    project = api.project()
    found = race(strangers, lambda each, _: each.delete(f"/projects/{project}"))
    assert statuses(found) == {200: 1, 404: RACERS - 1}


def test_restoring(api: Api, twins: list[Api], attached: Attached, backup: str) -> None:
    path = f"{attached.path}/backups/{backup}"
    before = attached.rows()
    found = race(twins, lambda each, _: each.post(f"{path}/restore"))
    (only,) = {answer.data["restoreId"] for answer in found}
    await_restore(api, path, only)
    assert len(api.get(f"{path}/restores").data["restores"]) == 1
    assert attached.rows() == before


def test_restoring_while_somebody_deletes(
    api: Api, strangers: list[Api], attached: Attached, backup: str
) -> None:
    """Either the restore is there and the backup kept, or the backup is gone before it."""
    path = f"{attached.path}/backups/{backup}"

    def ask(each: Api, number: int) -> Answer:
        return each.delete(path, force="true") if number else each.post(f"{path}/restore")

    restore, *deletes = race(strangers, ask)
    if restore.status == 200:
        assert statuses(deletes) == {409: RACERS - 1}
        await_restore(api, path, restore.data["restoreId"])
    else:
        assert restore.status == 404
        assert statuses(deletes) == {200: 1, 404: RACERS - 2}


def test_adding_to_a_project_that_goes(api: Api, strangers: list[Api], attached: Attached) -> None:
    """No addon is left in a project that is gone."""
    project = api.project()
    body = {
        "name": "Late",
        "type": "postgresql",
        "connectionString": attached.postgres.url(attached.database),
    }

    def ask(each: Api, number: int) -> Answer:
        path = f"/projects/{project}"
        return each.post(f"{path}/addons", body) if number == 0 else each.delete(path)

    made, *gone = race(strangers, ask)
    if made.status == 200:
        assert set(statuses(gone)) == {409}
        assert api.get(f"/projects/{project}/addons/late").status == 200
    else:
        assert made.status == 404
        assert statuses(gone) == {200: 1, 404: RACERS - 2}
