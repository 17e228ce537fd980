"""The API held against its own OpenAPI document by schemathesis: requests made up from it, answers
checked with it. No 5xx, no status or shape that is not in it, nothing without a token that needs
one, nothing after it was deleted.

The values are the same in every run. Whether a request that the schema allows is accepted is not
asked: rules between fields are more than a schema says.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from fixtures.debian_postgres import Database
from fixtures.fuzzed import PATIENCE, Fuzzed
from fixtures.holdfast import start_holdfast

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
LEFT_OUT = "positive_data_acceptance,negative_data_rejection"
COVERAGE = ("--phases", "coverage", "--max-examples", "1")
LINKS = re.compile(r"API Links: +(\d+) covered")
DESTROYERS = ("deleteProject", "deleteAddon", "deleteBackup", "deleteStoredBackup", "resetAddon")
"""They would take away what the other operations are asked about."""


def hold(fuzzed: Fuzzed, *words: str, known: dict[str, str] | None = None) -> str:
    """Schemathesis' own report, with which it fails. `known`: path parameters to use instead of
    made up ones, without the operations that destroy what they lead to."""
    document, config = fuzzed.home / "openapi.json", fuzzed.home / "schemathesis.toml"
    document.write_bytes(fuzzed.server.api().raw("GET", "/swagger-json").content)
    fixed = [f'"path.{name}" = {json.dumps(value)}' for name, value in (known or {}).items()]
    config.write_text("\n".join(["[parameters]", *fixed, ""]))
    argv = [str(SCHEMATHESIS), "--config-file", str(config), "run", str(document)]
    argv += ["--url", fuzzed.server.url, "--no-color", "--continue-on-failure"]
    argv += ["--generation-deterministic", "--request-timeout", str(PATIENCE)]
    argv += ["--exclude-checks", LEFT_OUT, "--warnings", "off"]
    argv += ["-H", f"Authorization: Bearer {fuzzed.server.token}", *words]
    for destroyer in DESTROYERS if known else ():
        argv += ["--exclude-operation-id", destroyer]
    done = subprocess.run(argv, cwd=fuzzed.home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-4000:]
    fuzzed.require_sound()
    return done.stdout


def test_requests_made_up_from_the_document(fuzzed: Fuzzed) -> None:
    """Every boundary of every parameter; below an addon that is not there, in the slow run."""
    hold(fuzzed, *COVERAGE, "--exclude-path-regex", "addon_id")


def test_requests_about_what_is_there(fuzzed: Fuzzed, known_ids: dict[str, str]) -> None:
    hold(fuzzed, *COVERAGE, "--include-path-regex", "addon_id", known=known_ids)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_requests_about_what_was_never_there(fuzzed: Fuzzed) -> None:
    hold(fuzzed, *COVERAGE, "--include-path-regex", "addon_id")


@pytest.mark.parametrize(
    ("examples", "links"), [(20, 3), pytest.param(300, 20, marks=pytest.mark.slow)]
)
def test_what_one_answer_names_the_next_asks_for(
    fuzzed: Fuzzed, known_ids: dict[str, str], examples: int, links: int
) -> None:
    """Chains of requests below an addon that is there: of made up ones none would get further."""
    there = {name: known_ids[name] for name in ("project_id", "addon_id")}
    words = ["--phases", "stateful", "--mode", "positive", "--max-examples", str(examples)]
    words += ["--include-path-regex", "addon_id"]
    report = hold(fuzzed, *words, known=there)
    followed = LINKS.search(report)
    assert followed is not None, report
    assert int(followed[1]) >= links, report


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_many_more_requests(fuzzed: Fuzzed, known_ids: dict[str, str]) -> None:
    hold(fuzzed, "--phases", "fuzzing", "--max-examples", "60")
    hold(fuzzed, "--phases", "fuzzing", "--max-examples", "60", known=known_ids)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_requests_with_the_catalogue_on_postgresql(debian_postgres: Database) -> None:
    """PostgreSQL refuses texts and numbers that SQLite takes."""
    home = Path(tempfile.mkdtemp(prefix="holdfast-"))
    url = debian_postgres.url(debian_postgres.create())
    server = start_holdfast(home, HOLDFAST_DATABASE_URL=url)
    try:
        phases = ("--phases", "coverage,fuzzing,stateful", "--max-examples", "10")
        hold(Fuzzed(home, server), *phases)
    finally:
        server.stop()
        shutil.rmtree(home)
