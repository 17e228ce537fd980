"""Where the fixtures are; each topic has its own module."""

import os
from collections.abc import Iterator

import pytest

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
    "fixtures.connecting",
    "fixtures.sqlite_files",
    "fixtures.timetables",
    "fixtures.in_process_installation",
    "fixtures.redis_servers",
    "fixtures.redis_snapshots",
    "fixtures.mortal_installation",
    "fixtures.fuzzed",
    "fixtures.redis_installation",
    "fixtures.conformance",
    "fixtures.programs",
    "fixtures.proofs",
    "fixtures.stepped_installation",
]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is marked `sqlite_first` meets the other catalogue in the slow run."""
    for item in items:
        parameters = getattr(item, "callspec", None)
        server = parameters.params.get("server") if parameters else None
        if server == "postgresql" and item.get_closest_marker("sqlite_first"):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    """A test that opens an installation inside this process leaves its private umask behind; the
    servers of other tests run as another user and must get at their files."""
    before = os.umask(0o022)
    yield
    os.umask(before)
