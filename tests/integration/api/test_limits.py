"""The documented rate limit: told on every answer, and enforced."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.holdfast import Api, Server, start_holdfast


@pytest.fixture(scope="module")
def strict() -> Iterator[Server]:
    home = Path(tempfile.mkdtemp(prefix="holdfast-"))
    home.chmod(0o711)
    server = start_holdfast(home, HOLDFAST_RATE_LIMIT="5")
    yield server
    server.stop()
    shutil.rmtree(home, ignore_errors=True)


def test_a_caller_past_its_limit_is_a_429_that_says_when_to_come_back(strict: Server) -> None:
    other = Api(strict.url, "another token")
    api = strict.api()
    for used in range(1, 6):
        answer = api.get("/login")
        assert answer.status == 200
        assert answer.headers["x-ratelimit-limit"] == "5"
        assert answer.headers["x-ratelimit-remaining"] == str(5 - used)
        assert 3500 < int(answer.headers["x-ratelimit-reset"]) <= 3600
    refused = api.get("/login")
    assert refused.status == 429
    assert refused.headers["retry-after"] == refused.headers["x-ratelimit-reset"]
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert "try again in" in refused.error["message"]
    assert other.get("/login").status == 401, "others are not concerned"


def test_probes_are_not_counted(strict: Server) -> None:
    prober = Api(strict.url, None, base="")
    assert all(prober.raw("GET", "/healthz").status_code == 200 for _ in range(10))
