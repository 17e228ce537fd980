"""Managed servers of one machine: what one of them sees of the others and of Holdfast itself.

Who asks is the server's administrator, whom nobody is: so would somebody who found a fault in the
server and got out of it.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from fixtures.managed import OwnersServer, managed_place, running
from holdfast.kit.processes.hosting import can_hide
from holdfast.kit.processes.process import Command, run

FIRST_UID = 65_100


def ask(server: OwnersServer, program: str) -> str:
    """What a program says that the server runs."""
    with server.connect() as session:
        session.execute("CREATE TEMP TABLE said (line text)")
        session.execute(f"COPY said FROM PROGRAM '({program}) 2>&1 || true'".encode())
        return "\n".join(line for (line,) in session.execute("SELECT line FROM said").fetchall())


@pytest.fixture(scope="module")
def neighbours(
    postgres_engine, tmp_path_factory: pytest.TempPathFactory, servers_root: Path
) -> Iterator[tuple[OwnersServer, OwnersServer]]:
    installation = servers_root / "two"
    installation.mkdir(mode=0o711)
    (installation / "master.key").write_text("the key")
    (installation / "master.key").chmod(0o600)
    (installation / "readable").write_text("of the installation")
    with ExitStack() as stack:
        made: list[OwnersServer] = []
        for number in (0, 1):
            home = installation / "addons" / f"addon-{number}"
            home.mkdir(mode=0o711, parents=True)
            place = managed_place(home / "data", uid=FIRST_UID + number)
            made.append(stack.enter_context(running(postgres_engine, place)))
        yield made[0], made[1]


def test_each_has_a_user_of_its_own(neighbours: tuple[OwnersServer, OwnersServer]) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives users away")
    for number, server in enumerate(neighbours):
        pid = server.engine.running(server.place)
        assert pid is not None
        process = psutil.Process(pid)
        assert set(process.uids()) == set(process.gids()) == {FIRST_UID + number}
        assert ask(server, "id -G") == str(FIRST_UID + number)
        told = Path(f"/proc/{pid}/status").read_text()
        assert "NoNewPrivs:\t1" in told
        for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb"):
            assert f"{name}:\t0000000000000000" in told
        assert ask(server, "echo $HOME") == str(server.place.directory)


def test_it_reads_no_file_of_the_others(neighbours: tuple[OwnersServer, OwnersServer]) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives users away")
    one, other = neighbours
    installation = one.place.directory.parents[2]
    paths = (
        installation / "master.key",
        other.place.directory / "PG_VERSION",
        other.place.directory / "global" / "pg_control",
        Path(f"/proc/{other.engine.running(other.place)}/root") / str(installation)[1:],
    )
    for path in paths:
        said = ask(one, f"ls -d {path}/. {path}; cat {path}")
        assert "No such file" in said or "Permission denied" in said, said
        assert "the key" not in said
    assert "PG_VERSION" in ask(one, f"ls {one.place.directory}")


def test_it_sees_nothing_of_the_installation_but_its_own(
    neighbours: tuple[OwnersServer, OwnersServer],
) -> None:
    if not can_hide():
        pytest.skip("this machine lets nobody hide files")
    one, _ = neighbours
    installation = one.place.directory.parents[2]
    seen = ask(one, f"ls {installation} {installation}/addons /tmp /var/tmp").split()
    assert "readable" not in seen
    assert "addon-1" not in seen
    assert "addon-0" in seen
    assert ask(one, f"cat {installation}/readable; cd ..; ls").count("No such file") == 1
    mine = Path(f"/tmp/mine-{os.getpid()}")
    assert ask(one, f"touch {mine} && ls /tmp").split()[-1] == mine.name
    assert not mine.exists()


def test_it_listens_on_the_loopback_alone(neighbours: tuple[OwnersServer, OwnersServer]) -> None:
    for server in neighbours:
        listens = {
            each.laddr.ip
            for each in psutil.Process(server.engine.running(server.place)).net_connections()
            if each.status == psutil.CONN_LISTEN
        }
        assert listens == {"127.0.0.1"}


def test_programs_of_ours_keep_their_eyes() -> None:
    assert run(Command(["ls", "/"])).stdout
