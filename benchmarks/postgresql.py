"""PostgreSQL's part of `make bench-engines`: against pg_dump and pg_restore, through one socket."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.contest import STOCK, Ours, Work, shell, started
from holdfast.contracts.engine import Address
from holdfast.engines.postgresql import create, server
from holdfast.engines.postgresql.address import connect, nearest

ROW = (
    "md5(g::text) || repeat(encode(sha256(g::text::bytea), 'hex'), 6)"
    " || ' the same words ' || g % 97"
)


@contextmanager
def postgresql(home: Path, rows: int) -> Generator[Work]:
    """A filled server and an empty one; what each side does with them."""
    home.chmod(0o711)
    engine = create(home / "no-tools")
    tools = engine.tools()[0]
    places = [started(engine, home / name, str(tools.major)) for name in ("full", "empty")]
    source, target = (server.address(place) for place in places)
    try:
        with connect(source) as session:
            session.execute("CREATE TABLE public.t (id int PRIMARY KEY, v text, n int)")
            session.execute(
                f"INSERT INTO public.t SELECT g, {ROW}, g * 7 % 1000"  # pyright: ignore[reportArgumentType]
                f" FROM generate_series(1, {rows}) g"
            )
            session.execute("CREATE INDEX ON public.t (n)")
            session.execute("VACUUM ANALYZE public.t")
        ours = Ours(engine, home, source, target)
        dump = f"{tools.program('pg_dump')} {_words(source)} -Fc -Z0 main | {STOCK}"
        load = (
            f"zstd -q -dc stock.zst | {tools.program('pg_restore')} {_words(target)}"
            " --clean --if-exists --exit-on-error -d main"
        )
        yield {
            "backup: stock": lambda: shell(home, f"PGPASSWORD=bench {dump}"),
            "backup: ours": ours.backup,
            "restore: stock": lambda: shell(home, f"export PGPASSWORD=bench; {load}"),
            "restore: ours": ours.restore,
        }
    finally:
        for place in places:
            engine.stop(place)


def _words(address: Address) -> str:
    place = nearest(address)
    return f"-h {place.host} -p {place.port} -U {place.user}"
