"""kill -9 at any moment of whatever a worker is at, again and again: nothing good is lost."""

import json
import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from fixtures.holdfast import OVER, Api, await_that, fresh
from fixtures.mortal_installation import ADDON, BACKUPS, ROWS, MortalInstallation

KEPT = 12
"""Snapshots that stay; more are deleted at random."""


class Chaos:
    """Asks for this and that, and remembers what was promised."""

    def __init__(self, installation: MortalInstallation, seed: int) -> None:
        self.installation, self.dice = installation, random.Random(seed)
        self.wanted: set[str] = set()
        self.deleted: set[str] = set()
        self.deaths = 0

    def live_and_die(self) -> None:
        server = self.installation.start()
        try:
            works: list[Callable[[Api], None]] = [
                self._snapshot, self._copied, self._restore, self._forget, self._tidy
            ]  # fmt: skip
            for work in self.dice.sample(works, 2):
                work(server.api())
            time.sleep(self.dice.uniform(0, 4))
        finally:
            self.installation.kill()
        self.deaths += 1

    def look_back(self) -> None:
        """Without more kills, every order comes to its end by itself."""
        server = self.installation.start()
        try:
            api = server.api()
            await_that(lambda: self.installation.catalogue(_OPEN) == [(0,)], 180)
            await_that(
                lambda: all(each["status"] in OVER for each in self.installation.copies()), 180
            )
            # The stock tool is told of no removal: it would look for a snapshot that just went.
            await_that(lambda: self.installation.catalogue(_REMOVALS) == [(0,)], 180)
            listed = {each["id"]: each for each in api.get(BACKUPS, per_page=100).data["backups"]}
            for name in self.wanted - self.deleted:
                assert listed[name]["status"] == "completed", listed[name]
            await_that(lambda: api.get(ADDON).data["status"] == "running")
            assert self.installation.sql("SELECT count(*) FROM t WHERE g > 0") == [(ROWS,)]
            assert self.installation.sql("SELECT now FROM state")[0][0] in ("snapshot", "later")
            assert self.installation.leftovers() == []
            self.installation.require_sound_repositories(api)
            self._all_in_the_repository(api, listed)
        finally:
            server.stop()

    def _all_in_the_repository(self, api: Api, listed: dict[str, Any]) -> None:
        passphrase, url = self.installation.repositories["/platform-store"]
        there = {
            each["id"] for each in json.loads(self.installation.restic(url, passphrase, *_LIST))
        }
        for name in listed:
            assert api.get(f"{BACKUPS}/{name}/evidence").data["snapshot"] in there, name

    def _snapshot(self, api: Api, **more: Any) -> None:
        name = fresh("R").replace(" ", "-").lower()
        await_that(lambda: api.get(ADDON).data["status"] == "running", 180)
        self.installation.change()
        answer = api.post(BACKUPS, {"name": name, **more})
        assert answer.data["status"] == "scheduled"
        self.wanted.add(name)

    def _copied(self, api: Api) -> None:
        self._snapshot(api, additionalDestinations=self.installation.additional)

    def _restore(self, _: Api) -> None:
        self.installation.begin_good_restore()

    def _forget(self, api: Api) -> None:
        rest = sorted(self.wanted - self.deleted)
        if len(rest) > KEPT:
            name = self.dice.choice(rest)
            answer = api.delete(f"{BACKUPS}/{name}")
            if answer.status == 200:  # not while it is being made
                self.deleted.add(name)

    def _tidy(self, _: Api) -> None:
        self.installation.catalogue("UPDATE repositories SET tidy_due = 1, tidied = NULL")


_LIST = ("snapshots", "--json")
_OPEN = "SELECT count(*) FROM operations WHERE status IN ('scheduled', 'in-progress', 'aborting')"
_REMOVALS = "SELECT count(*) FROM deletions WHERE done IS NULL AND called_off IS NULL"


@pytest.fixture
def installation(mortal_installation: MortalInstallation) -> MortalInstallation:
    return mortal_installation


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_hundred_deaths_at_any_moment(installation: MortalInstallation) -> None:
    chaos = Chaos(installation, seed=1)
    while chaos.deaths < 100:
        for _ in range(4):
            chaos.live_and_die()
        chaos.look_back()
    assert len(chaos.wanted) > 30
    assert chaos.deleted
