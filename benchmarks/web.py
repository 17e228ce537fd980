"""`make bench-web`: what pages of the dashboard cost with 2,000 addons and 1,000,000 backups.

Everything of Holdfast runs in one process on a fresh catalogue, on SQLite or on a PostgreSQL server
of its own (`--catalogue`). A person's session asks for each page again and again, one at a time,
over a connection that stays open: the time is the server's, and the transfer on loopback. Beside it
is the processor time that the process took meanwhile, with all that it does besides. The bytes are
those of a first visit: the page and all that it refers to, compressed as a browser asks for it.
Then pages are left open, and a file is backed up with and without them.
"""

import argparse
import re
import sqlite3
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil
from rich import box
from rich.table import Table

from benchmarks.catalogue import ADDON, PROJECT, fill_catalogue
from benchmarks.server import catalogue_server
from demo.place import place
from demo.screen import Screen
from demo.server import Server
from holdfast.client import Client
from holdfast.kit.seal import Secret

_AT = f"/p/{PROJECT}/{ADDON}"
_PAGES = (
    *("/", "/projects", _AT, f"{_AT}?page=9", f"{_AT}/backups/{{backup}}", f"{_AT}/restore"),
    *(
        f"{_AT}/schedules/new",
        "/proof",
        "/retention",
        f"/retention?addon={PROJECT}/{ADDON}",
        "/places",
        "/alarms",
        "/activity",
    ),
    *("/access", "/account", "/settings", "/addons/new", "/find?q=shop-19"),
)
_LIMIT_MS, _LIMIT_KB, _LIMIT_CPU = 150.0, 100.0, 10.0
_SETTINGS = {
    "HOLDFAST_AUDIT_EVERY": "0",  # the backups have no objects, so they are not looked for
    "HOLDFAST_READ_WITHIN": "0",
    "HOLDFAST_DRILLS": "0",
    "HOLDFAST_ADDRESS_LIMIT": "10000000",
    "HOLDFAST_TAILS_PER_TOKEN": "200",
}
_LINKED = re.compile(r'(?:href|src)="(/static/[^"]+)"')


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-web", description=__doc__)
    parser.add_argument("--catalogue", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--addons", type=int, default=2_000)
    parser.add_argument("--backups", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=40, help="requests of each page")
    parser.add_argument("--open", type=int, default=50, help="pages left open")
    parser.add_argument("--seconds", type=float, default=20.0, help="of watching open pages")
    return parser.parse_args()


@dataclass(frozen=True)
class _Visit:
    """One page: milliseconds of each request, those of the processor for one, and kilobytes of a
    first visit."""

    path: str
    taken: list[float]
    processor: float
    kilobytes: float

    @property
    def p95(self) -> float:
        return statistics.quantiles(self.taken, n=20)[18]


def main() -> None:
    screen, chosen = Screen(), _arguments()
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("what", "p95", "at most", "processor", "first visit", "at most", ""):
        table.add_column(column)
    with ExitStack() as stack:
        home = stack.enter_context(place(None, 0, keep=False))
        files = Path(stack.enter_context(TemporaryDirectory(prefix="holdfast-files-")))
        settings, url = {**_SETTINGS, "HOLDFAST_SQLITE_ROOTS": str(files)}, ""
        if chosen.catalogue == "postgresql":
            url = stack.enter_context(catalogue_server(home / "catalogue"))
            settings["HOLDFAST_DATABASE_URL"] = url
        title = f"Writing {chosen.backups:,} backups of {chosen.addons:,} addons"
        with screen.step(title):
            fill_catalogue(home, chosen.backups, chosen.addons, url)
        server = Server(home, settings=settings)
        stack.callback(server.stop)
        server.start()
        browser = stack.enter_context(_signed_in(server))
        with screen.step(f"{len(_PAGES)} pages, {chosen.rounds} times each"):
            for visit in _visits(browser, chosen.rounds, psutil.Process(server.pid)):
                _row(table, visit)
        with screen.step(f"{chosen.open} pages left open"):
            _watch_open(table, server, browser, files, chosen)
    screen.console.print(table, highlight=False)


@contextmanager
def _signed_in(server: Server) -> Iterator[httpx.Client]:
    """A browser's connection, signed in with the owner's token."""
    with httpx.Client(
        base_url=server.url,
        follow_redirects=True,
        timeout=60,
        headers={"sec-fetch-site": "same-origin", "origin": server.url},
    ) as browser:
        browser.get("/signin")
        token = server.token_file.read_text().strip()
        browser.post("/signin/token", data={"token": token}).raise_for_status()
        yield browser


def _visits(browser: httpx.Client, rounds: int, process: psutil.Process) -> Iterator[_Visit]:
    backup = re.search(rf'href="{_AT}/backups/([^"/?]+)"', browser.get(_AT).text)
    if backup is None:
        raise RuntimeError("the page of the database shows no backup")
    for template in _PAGES:
        path = template.format(backup=backup[1])
        taken: list[float] = []
        before = _processor_seconds(process)
        for _ in range(rounds):
            began = time.monotonic()
            browser.get(path).raise_for_status()
            taken.append((time.monotonic() - began) * 1000)
        processor = (_processor_seconds(process) - before) / rounds * 1000
        yield _Visit(template, taken, processor, _first_visit(browser, path))


def _first_visit(browser: httpx.Client, path: str) -> float:
    """Kilobytes on the wire of the page and of everything it refers to."""
    page = browser.get(path)
    size = _received(page)
    for linked in set(_LINKED.findall(page.text)):
        size += _received(browser.get(linked))
    return size / 1000


def _received(answer: httpx.Response) -> int:
    answer.raise_for_status()
    return answer.num_bytes_downloaded


def _row(table: Table, visit: _Visit) -> None:
    met = visit.p95 <= _LIMIT_MS and visit.kilobytes <= _LIMIT_KB
    table.add_row(
        visit.path,
        f"{visit.p95:,.0f} ms",
        f"{_LIMIT_MS:g} ms",
        f"{visit.processor:,.0f} ms",
        f"{visit.kilobytes:,.1f} kB",
        f"{_LIMIT_KB:g} kB",
        "met" if met else "MISSED",
    )


def _watch_open(
    table: Table, server: Server, browser: httpx.Client, files: Path, chosen: argparse.Namespace
) -> None:
    process = psutil.Process(server.pid)
    idle = _share_of_a_core(process, chosen.seconds)
    alone = _back_up(server, files, "alone")
    with _open_pages(browser, chosen.open):
        watched = _share_of_a_core(process, chosen.seconds)
        beside = _back_up(server, files, "beside")
    verdict = "met" if watched - idle <= _LIMIT_CPU else "MISSED"
    shown = f"{watched - idle:.1f} % of a core"
    table.add_row(f"{chosen.open} open pages", shown, f"{_LIMIT_CPU:g} %", "", "", "", verdict)
    table.add_row("  without them", f"{idle:.1f} % of a core", "", "", "", "", "")
    table.add_row("a backup beside / alone", f"{beside / alone:.2f}", "", "", "", "", "")


def _share_of_a_core(process: psutil.Process, seconds: float) -> float:
    """Percent."""
    before = _processor_seconds(process)
    time.sleep(seconds)
    return 100 * (_processor_seconds(process) - before) / seconds


def _processor_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


@contextmanager
def _open_pages(browser: httpx.Client, count: int) -> Iterator[None]:
    """Live streams, as that many open overviews have them."""
    topics = re.search(r'data-live-of="([^"]+)"', browser.get("/").text)
    if topics is None:
        raise RuntimeError("the overview is not live")
    limits = httpx.Limits(max_connections=count + 5)
    over = threading.Event()

    def listen(client: httpx.Client) -> None:
        with (
            suppress(httpx.HTTPError),
            client.stream("GET", "/live", params={"of": topics[1]}, timeout=60) as stream,
        ):
            stream.raise_for_status()
            for _ in stream.iter_bytes():
                if over.is_set():
                    return

    with httpx.Client(
        base_url=browser.base_url, cookies=browser.cookies, headers=browser.headers, limits=limits
    ) as client:
        threads = [
            threading.Thread(target=listen, args=(client,), daemon=True) for _ in range(count)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()  # each ends with the next ping


def _back_up(server: Server, files: Path, name: str) -> float:
    """Seconds that the median of five backups of 30 MB takes."""
    path = files / f"{name}.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE noise (b BLOB)")
        for _ in range(30):
            database.execute("INSERT INTO noise VALUES (randomblob(1000000))")
        database.commit()
    taken: list[float] = []
    with Client(server.url, Secret(server.token_file.read_text().strip())) as client:
        project = client.projects.create({"name": f"Files {name}"}).id
        body = {"name": "File", "type": "sqlite", "connectionString": f"sqlite://{path}"}
        addon = client.addons.create(project, body).id
        for number in range(5):
            began = time.monotonic()
            form = {"name": f"Backup {number}", "backupType": "dump"}
            backup = client.backups.create(project, addon, form)
            ended = client.wait_for_backup(project, addon, backup.id)
            if ended.status != "completed":
                raise RuntimeError(f"the backup is {ended.status}: {ended.reason}")
            taken.append(time.monotonic() - began)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
