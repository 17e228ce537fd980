"""Where the fixtures are; each topic has its own module."""

import os
from collections.abc import Iterator

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

pytest_plugins = [
    "fixtures.reaper",
    "fixtures.http_api",
    "fixtures.postgres",
    "fixtures.physical",
    "fixtures.mysql",
    "fixtures.s3",
    "fixtures.debian_postgres",
    "fixtures.holdfast",
    "fixtures.managed",
    "fixtures.attached",
    "fixtures.official",
    "fixtures.offered",
    "fixtures.queues",
    "fixtures.catalogs",
    "fixtures.certificates",
    "fixtures.chromium",
    "fixtures.connecting",
    "fixtures.sqlite_files",
    "fixtures.timetables",
    "fixtures.in_process_installation",
    "fixtures.redis_servers",
    "fixtures.redis_snapshots",
    "fixtures.mortal_installation",
    "fixtures.fuzzed",
    "fixtures.redis_installation",
    "fixtures.mongodb",
    "fixtures.mongodb_managed",
    "fixtures.conformance",
    "fixtures.programs",
    "fixtures.proofs",
    "fixtures.stepped_installation",
    "fixtures.receivers",
    "fixtures.breakable",
    "fixtures.visitors",
    "fixtures.sso",
]


LANES = (
    *("tests/chaos", "tests/integration/api", "tests/integration/engines"),
    *("tests/integration/catalog", "tests/e2e", "tests/integration/jobs", "tests/compat"),
    *("tests/contract", "tests/unit"),
)
"""Folders whose tests stay together, because many of them share one server and follow it through
its life. What takes longest comes first, so that no lane begins with it when the others end."""


def lane_of(nodeid: str) -> str:
    """The folder that a test belongs to: one of LANES, or the part of `tests` it lies in."""
    named = [lane for lane in LANES if nodeid.startswith(f"{lane}/")]
    if named:
        return named[0]
    depth = 3 if nodeid.startswith("tests/integration/") else 2
    return "/".join(nodeid.partition("::")[0].split("/")[:depth])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is marked `sqlite_first` meets the other catalogue in the slow run."""
    for item in items:
        parameters = getattr(item, "callspec", None)
        catalogues = (
            {parameters.params.get(name) for name in ("server", "empty_url", "catalog_url")}
            if parameters
            else set()
        )
        if "postgresql" in catalogues and item.get_closest_marker("sqlite_first"):
            item.add_marker(pytest.mark.slow)
    order = {lane: number for number, lane in enumerate(LANES)}
    items.sort(key=lambda item: order.get(lane_of(item.nodeid), len(LANES)))


class LaneScheduling(LoadScopeScheduling):
    """Gives each worker whole lanes. (xdist's own `loadgroup` needs a node id that pytest 9.2 no
    longer lets it change.)"""

    def _split_scope(self, nodeid: str) -> str:
        return lane_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LaneScheduling:
    return LaneScheduling(config, log)


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    """A test that opens an installation inside this process leaves its private umask behind; the
    servers of other tests run as another user and must get at their files."""
    os.umask(0o022)
    yield
    os.umask(0o022)  # for what is made for the next module before its first test
