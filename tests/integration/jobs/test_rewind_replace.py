"""Restores on a machine without room for a second copy: refused, or the present data goes first."""

from collections.abc import Iterator
from typing import Any

import pytest

from fixtures.holdfast import await_backup, await_restore, await_that
from fixtures.installation import Installation, installation_home, running

NOWHERE = "rewind:nowhere:0"


class CrampedInstallation(Installation):
    """One managed server, a good snapshot of it, and no room for two copies."""

    good = ""

    def cramp(self, at: str = NOWHERE, **more: str) -> None:
        """Starts it again with 1 MiB less than a second copy needs."""
        size = int(self.api.get(self.good).data["config"]["size"])
        free = str(round(size * 1.05) + (63 << 20))
        self.restart(MORTAL_AT=at, MORTAL_FREE=free, **more)
        await_that(lambda: self.status() in ("running", "failed"))

    def begin(self, **body: Any) -> str:
        return self.begin_restore(self.good, **body)

    def over(self, restore: str) -> dict[str, Any]:
        return self.await_restore_over(self.good, restore)

    def require_restored(self) -> None:
        assert self.sql("SELECT now FROM state") == [("snapshot",)]
        assert self.status() == "running"
        known = {"data", "lock", "server.log", "restored", "served"}
        assert {path.name for path in self.addon_home.iterdir()} == known


@pytest.fixture(scope="module")
def installation() -> Iterator[CrampedInstallation]:
    with installation_home() as home, running(CrampedInstallation(home)) as installation:
        installation.manage_first("Cramped")
        installation.sql("CREATE TABLE state AS SELECT 'snapshot' AS now")
        installation.good = installation.backup()
        installation.sql("UPDATE state SET now = 'later'")
        installation.cramp()
        yield installation


def test_without_room_and_without_leave_nothing_is_touched(
    installation: CrampedInstallation,
) -> None:
    found = installation.over(installation.begin())
    assert found["status"] == "failed"
    assert "no room for a second copy" in found["reason"]
    assert "`replace` would give up the present data" in found["reason"]
    assert installation.sql("SELECT now FROM state") == [("later",)]


def test_leave_is_for_snapshots_and_a_word_of_its_own(installation: CrampedInstallation) -> None:
    for wrong in ("yes", 1, None):
        refused = installation.api.post(f"{installation.good}/restore", {"replace": wrong})
        assert (refused.status, list(refused.details)) == (400, ["replace"])
    refused = installation.api.post(f"{installation.good}/restore", {"replaced": True})
    assert refused.status == 400
    installation.api.post(f"{installation.addon}/backups", {"name": "a dump", "backupType": "dump"})
    await_backup(installation.api, f"{installation.addon}/backups/a-dump")
    refused = installation.api.post(
        f"{installation.addon}/backups/a-dump/restore", {"replace": True}
    )
    assert (refused.status, list(refused.details)) == (400, ["replace"])


def test_nothing_is_given_up_for_a_snapshot_that_cannot_be_read(
    installation: CrampedInstallation,
) -> None:
    packs = list((installation.data_dir / "store").rglob("data/*/*"))
    victim = max(packs, key=lambda path: path.stat().st_size)
    body = victim.read_bytes()
    middle = len(body) // 2
    victim.write_bytes(body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :])
    found = installation.over(installation.begin(replace=True))
    victim.write_bytes(body)
    assert found["status"] == "failed"
    assert "not what was written" in found["reason"]
    assert "the addon is as it was" in found["reason"]
    assert installation.sql("SELECT now FROM state") == [("later",)]


def test_a_failure_after_that_says_that_nothing_is_left(installation: CrampedInstallation) -> None:
    """And the next restore, which needs no leave any more, brings the addon back."""
    installation.cramp(MORTAL_FETCH="fail")
    found = installation.over(installation.begin(replace=True))
    assert found["status"] == "failed"
    assert "was given up for a restore and is gone" in found["reason"]
    addon = installation.api.get(installation.addon).data
    assert (addon["status"], "has no data" in addon["reason"]) == ("failed", True)
    assert not (installation.addon_home / "data").exists()
    installation.restart()
    await_restore(installation.api, installation.good, installation.begin())
    installation.require_restored()


def test_with_leave_the_present_data_goes_first(installation: CrampedInstallation) -> None:
    installation.sql("UPDATE state SET now = 'later'")
    installation.cramp()
    restore = installation.begin(replace=True)
    await_restore(installation.api, installation.good, restore)
    installation.require_restored()
    lines = installation.api.get(
        f"{installation.good}/restores/{restore}/logs", queryType="range"
    ).data
    assert any("giving up the present data" in line["log"] for line in lines)


@pytest.mark.parametrize(
    "at",
    ["fetch:during", *(pytest.param(f"move:{n}", marks=pytest.mark.slow) for n in range(1, 6))],
)
def test_a_death_on_the_way_ends_with_the_restored_data(
    installation: CrampedInstallation, at: str
) -> None:
    installation.sql("UPDATE state SET now = 'later'")
    installation.cramp(f"rewind:{at}")
    restore = installation.begin(replace=True)
    await_that(lambda: installation.server.child.poll() is not None)
    installation.start_mortal(NOWHERE, HOLDFAST_DEAD="3", MORTAL_FREE="0")
    over = installation.over(restore)
    assert over["status"] == "completed", (over, installation.server.log.read_text()[-4000:])
    installation.require_restored()
