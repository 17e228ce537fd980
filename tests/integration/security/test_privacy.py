"""What others on the machine see of a running installation: nothing that is secret."""

import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from fixtures.attached import Own, attach
from fixtures.bodies import BILLING
from fixtures.holdfast import Api, Server, await_backup, await_that, fresh
from holdfast.catalog import tokens
from holdfast.catalog.database.session import Catalog
from holdfast.domain.errors import StoreUnavailable
from holdfast.http.health import problems_of
from holdfast.kit.processes.process import Command, run
from holdfast.kit.seal import Secret

MASTER = "5e" * 32

PRIVATE = """
import ctypes, resource
from holdfast.kit.processes.hardening import keep_memory_private
keep_memory_private()
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))
"""


def test_a_process_keeps_its_memory_to_itself() -> None:
    said = subprocess.run(
        [sys.executable, "-c", PRIVATE], check=True, capture_output=True, text=True, timeout=60
    )
    assert said.stdout.split() == ["0", "(0,", "0)"]


def _limit(pid: int) -> list[str]:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return next(line.split()[4:6] for line in lines if line.startswith("Max core file size"))


def _children(pid: int) -> list[int]:
    """All below it, and the servers that it started, which outlive it."""
    children: dict[int, list[int]] = {}
    for each in Path("/proc").glob("[0-9]*"):  # once: a child may live for a moment only
        try:
            parent = int((each / "stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(parent, []).append(int(each.name))
    found = list(children.get(pid, ()))
    for child in found:  # grows while it is walked
        found += children.get(child, ())
    return found


class Watcher:
    """Collects what can be seen of a process's children while something happens."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._own = Path(f"/proc/{pid}/cmdline").read_bytes()
        self._stop = threading.Event()
        self.argv: set[str] = set()
        self.environment: set[str] = set()
        self.core: set[str] = set()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Watcher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.01):
            for pid in _children(self._pid):
                place = Path(f"/proc/{pid}")
                try:
                    argv = (place / "cmdline").read_bytes()
                    if argv == self._own:
                        continue  # not begun yet: until then a child is a view of its parent
                    self.argv.add(argv.decode(errors="replace"))
                    self.environment.add((place / "environ").read_bytes().decode(errors="replace"))
                    self.core.update(_limit(pid))
                except (FileNotFoundError, ProcessLookupError, PermissionError):
                    continue


def test_nothing_secret_shows_while_it_works(
    started: Callable[..., Server], own_postgres: Own
) -> None:
    server = started(master_key=MASTER)
    api, postgres = server.api(), own_postgres.postgres
    project = api.project()
    with Watcher(server.child.pid) as seen:
        attached = attach(api, postgres, project, fresh("Addon"), own_postgres.database)
        managed = {"name": "Ours", "type": "postgresql", "billing": BILLING}
        ours = api.post(f"/projects/{project}/addons", managed).data["id"]
        path = f"/projects/{project}/addons/{ours}"
        await_that(lambda: api.get(path).data["status"] == "running")
        own_secret = api.get(f"{path}/credentials").data["secrets"]["PASSWORD"]
        # A dump may be over before anybody looks; one of several is seen.
        await_that(lambda: _dumped(api, attached.path) and any("pg_dump" in a for a in seen.argv))
        wrong = postgres.url(own_postgres.database).replace(postgres.password, "wr0ng-passw0rd")
        refused = api.patch(attached.path, {"connectionString": wrong})
    told = " ".join(seen.argv)
    assert "pg_dump" in told
    assert "initdb" in told
    secrets = [MASTER, server.token, postgres.password, own_secret, "wr0ng-passw0rd"]
    assert [each for each in secrets if each in told] == []
    environment = " ".join(seen.environment)
    assert "HOLDFAST_" not in environment
    assert [each for each in (MASTER, server.token, own_secret) if each in environment] == []
    assert seen.core == {"0"}
    assert _limit(server.child.pid) == ["0", "0"]
    assert refused.status in (200, 400)  # some servers of tests trust everybody
    log = server.log.read_text()
    assert [each for each in secrets if each in log or each in str(refused.body)] == []
    _check_files(server.data_dir)


def _dumped(api: Api, addon: str) -> bool:
    made = api.post(f"{addon}/backups", {"name": fresh("Seen"), "backupType": "dump"}).data
    await_backup(api, f"{addon}/backups/{made['id']}")
    return True


def _check_files(data_dir: Path) -> None:
    """Ours are for us alone; a managed server's are for the user it runs as."""
    open_to_others = []
    for path in [data_dir, *data_dir.rglob("*")]:
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        mode = stat.S_IMODE(found.st_mode)
        passage = stat.S_ISDIR(found.st_mode) and mode & 0o077 in (0o011, 0o010, 0o001)
        if mode & 0o077 and not passage and not stat.S_ISSOCK(found.st_mode):
            open_to_others.append((str(path.relative_to(data_dir)), oct(mode)))
    assert [each for each in open_to_others if not each[0].startswith("addons/")] == []
    for name in ("holdfast.db", "owner.token", "node.id"):
        assert stat.S_IMODE((data_dir / name).stat().st_mode) == 0o600
    for name, mode in open_to_others:
        assert int(mode, 8) & 0o007 == 0, f"{name} of a managed server is open to everybody"


def test_children_get_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOLDFAST_MASTER_KEY", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "LD_PRELOAD"):
        monkeypatch.setenv(name, "must-not-be-seen")
    said = run(Command(["env"], {"GIVEN": "yes"})).stdout.decode()
    assert "GIVEN=yes" in said
    assert "must-not-be-seen" not in said


def test_who_asks_whether_we_are_ready_learns_no_names() -> None:
    def broken(*_: object) -> Any:
        raise StoreUnavailable("https://s3.internal/bucket of AKIA1234 did not answer")

    def away() -> Any:
        said = Exception('connection to server at "10.0.0.5" failed for user "holdfast"')
        raise OperationalError("SELECT 1", {}, said)

    parts = SimpleNamespace(
        catalog=SimpleNamespace(ping=away),
        services=SimpleNamespace(queue=SimpleNamespace(orphans=broken)),
        open_store=broken,
    )
    problems = problems_of(cast("Any", parts))
    assert problems.keys() == {"database", "queue", "store"}
    assert not any(word in str(problems) for word in ("10.0.0.5", "AKIA", "internal", "holdfast"))


def test_the_catalogue_is_asked_for_a_digest_and_never_for_a_token(catalog: Catalog) -> None:
    """So the time a look-up takes tells nothing about the token, only about its digest."""
    token, asked = Secret("hft_not-to-be-seen-in-a-statement"), list[str]()

    def listen(_: object, __: object, statement: str, values: object, *___: object) -> None:
        asked.append(f"{statement} {values}")

    engine = catalog._reader
    event.listen(engine, "before_cursor_execute", listen)
    with catalog.read() as session:
        assert tokens.holder(session, token, 1) is None
    assert any(tokens.digest(token) in each for each in asked)
    assert not any(token.reveal() in each for each in asked)
