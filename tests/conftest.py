"""Where the fixtures are, and which tests run beside which.

Most tests wait for servers, so two processes run them. What shares an expensive fixture stays in
one process: the tests of the installation on each catalogue, else those of one file.
"""

import os
from collections.abc import Iterator

import pytest

pytest_plugins = [
    "fixtures.http_api",
    "fixtures.postgres",
    "fixtures.physical",
    "fixtures.s3",
    "fixtures.debian_postgres",
    "fixtures.holdfast",
    "fixtures.attached",
    "fixtures.official",
    "fixtures.queues",
    "fixtures.catalogs",
    "fixtures.timetables",
    "fixtures.keeping",
]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        parameters = getattr(item, "callspec", None)
        server = parameters.params.get("server") if parameters else None
        group = f"server on {server}" if server else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    """A test that opens an installation inside this process leaves its private umask behind; the
    servers of other tests run as another user and must get at their files."""
    before = os.umask(0o022)
    yield
    os.umask(before)
