"""kill -9 and abort in every step of a recovery to an instant: the new state or the old, whole."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.test_kill import wait_for_death
from fixtures.holdfast import await_restore, await_that
from fixtures.installation import Installation, installation_home
from fixtures.mortal_installation import connected
from holdfast.jobs.snapshots import recover

STEPS = [step.name for step in recover.RECOVER.steps]
DEATHS = [
    *(f"{step}:before" for step in STEPS),
    "fetch:during",
    "fetch:after",
    "log:after",
    "settle:after",
    "rehearse:after",
    *(f"move:{number}" for number in range(1, 6)),
    "swap:after",
    "publish:before",
]


class Archived(Installation):
    """One managed server, archived, whose one row says what was written last."""

    @property
    def held(self) -> Path:
        """A step waits as long as a file of its name is here."""
        return self.home / "held"

    def begin(self) -> None:
        self.held.mkdir()
        self.start()
        self.manage_first("Chaos")
        body = {"intervalSeconds": 1}
        assert self.api.post(f"{self.addon}/archive", body).data["enabled"]
        self.write("CREATE TABLE state AS SELECT 'first'::text AS now")

    def write(self, statement: str) -> None:
        """Waits for the supervisor, which may still be at starting the server."""
        with await_that(lambda: connected(self.uri()), 60) as connection:
            connection.execute(statement.encode())

    def state(self) -> str:
        with await_that(lambda: connected(self.uri()), 60) as connection:
            ((now,),) = connection.execute("SELECT now FROM state").fetchall()
            return str(now)

    def instant(self) -> str:
        """The server's now, after which a moment passes."""
        with await_that(lambda: connected(self.uri()), 60) as connection:
            ((text,),) = connection.execute(
                "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC',"
                " 'YYYY-MM-DD\"T\"HH24:MI:SS.MS')"
            ).fetchall()
            connection.execute("SELECT pg_sleep(0.05)")
            return f"{text}Z"

    def remember(self) -> str:
        """The instant of the state `wanted`, which is stored and over."""
        self.await_window_beyond(self.instant())
        self.write("UPDATE state SET now = 'wanted'")
        moment = self.instant()
        self.write("UPDATE state SET now = 'later'")
        self.await_window_beyond(self.instant())
        return moment

    def await_window_beyond(self, moment: str) -> None:
        """Until a snapshot leads to the end of the log, and that is beyond the moment."""

        def is_beyond() -> bool:
            shown = self.api.get(f"{self.addon}/archive").data
            ends = [window["endTimestamp"] for window in shown["windows"]]
            return "openGap" not in shown and max(ends, default="") > moment

        await_that(is_beyond, 120, lambda: str(self.api.get(f"{self.addon}/archive").data))

    def order(self, moment: str) -> tuple[str, str]:
        """The path of the backup, and the restore's id."""
        ordered = self.api.post(f"{self.addon}/pitr", {"targetTimestamp": moment}).data
        return f"{self.addon}/backups/{ordered['id']}", ordered["restoreId"]


@pytest.fixture(scope="module")
def archived() -> Iterator[Archived]:
    with installation_home() as home:
        installation = Archived(home, {"HOLDFAST_DEAD": "2"})
        try:
            installation.begin()
            installation.server.stop()
            yield installation
        finally:
            for server in installation.started:
                server.child.kill()
                server.child.wait()
            installation.start().stop()  # with the server that it manages


@pytest.mark.slow
@pytest.mark.parametrize("point", DEATHS)
def test_a_recovery_survives_the_death_of_its_worker(archived: Archived, point: str) -> None:
    mortal = archived.start_mortal(f"recover:{point}")
    backup, restore = archived.order(archived.remember())
    wait_for_death(mortal)
    archived.start()
    try:
        shown = await_restore(archived.api, backup, restore)
        assert "firstLeftOut" in shown["report"]
        assert archived.state() == "wanted"
        await_that(lambda: archived.status() == "running")
        assert archived.leftovers() == []
    finally:
        archived.kill()


@pytest.fixture(scope="module")
def holding(archived: Archived) -> Iterator[Archived]:
    """Its recoveries wait in the steps that a test holds."""
    archived.start_mortal("recover:*:held", MORTAL_HELD=str(archived.held))
    try:
        yield archived
    finally:
        archived.kill()


def await_held(archived: Archived, restore: str, step: str) -> None:
    """Until the step before is over."""
    before = [None, *STEPS][STEPS.index(step)]
    saved = (
        "SELECT o.step FROM operations o JOIN restores r ON r.operation = o.id"
        " WHERE r.id = ? AND o.status = 'in-progress'"
    )
    await_that(lambda: archived.catalogue(saved, restore) == [(before,)], 120)


@pytest.mark.parametrize(
    "step",
    ["rehearse", *(pytest.param(s, marks=pytest.mark.slow) for s in STEPS if s != "rehearse")],
)
def test_an_abort_leaves_everything_as_it_was(holding: Archived, step: str) -> None:
    moment = holding.remember()
    data = holding.addon_home / "data"
    before = data.stat().st_ino
    (holding.held / step).touch()
    try:
        backup, restore = holding.order(moment)
        await_held(holding, restore, step)
        holding.api.post(f"{backup}/abort-restore", {"restoreId": restore})
        assert holding.await_restore_over(backup, restore)["status"] == "aborted"
    finally:
        (holding.held / step).unlink()
    assert holding.state() == "later"
    assert data.stat().st_ino == before
    assert holding.leftovers() == []


def test_what_is_not_reached_is_an_error_before_the_swap(holding: Archived) -> None:
    """The log that was fetched ends before the position: the error says how far it came."""
    moment = holding.remember()
    (holding.held / "rehearse").touch()
    backup, restore = holding.order(moment)
    await_held(holding, restore, "rehearse")
    newest = "SELECT record FROM operations WHERE kind = 'recover' ORDER BY created DESC LIMIT 1"
    record = json.loads(holding.catalogue(newest)[0][0])
    position = record["stop"]["position"]
    segment = max(holding.addon_home.glob(f"restore-*/{recover.WAL}/" + "?" * 24))
    content = segment.read_bytes()
    segment.write_bytes(content[: position % len(content)].ljust(len(content), b"\0"))
    (holding.held / "rehearse").unlink()
    failed = holding.await_restore_over(backup, restore)
    assert failed["status"] == "failed"
    assert re.search(
        f"the replay ended at 0/[0-9A-F]+, before it reached 0/{position:X}", failed["reason"]
    )
    assert holding.state() == "later"
    assert holding.leftovers() == []
