"""Holdfast's receiver in a process of its own, so that its processor time can be told.

`python -m benchmarks.archiving.receiving HOME` reads what to do from `HOME/order.json`, receives
until the given position is stored, or it is ended.
"""

import json
import sys
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from holdfast.bootstrap.parts import Parts
from holdfast.catalog import addons
from holdfast.catalog.archiving import archives
from holdfast.catalog.archiving.archives import Lease
from holdfast.catalog.schema import Addon, ArchivePiece, ArchiveRow, Project
from holdfast.domain.errors import Interrupted
from holdfast.kit.processes.guard import Guard
from holdfast.kit.seal import Secret
from holdfast.pipeline import age
from holdfast.settings import Settings
from holdfast.usecases.archiving import archives as verbs
from holdfast.usecases.archiving.receiver import Receiver

STARTED = "started"
"""Name of the file with the processor time that the process took before it began to receive."""
_DEAD_MS = 60_000


@dataclass(frozen=True)
class Order:
    """The server, the slot that keeps its log, and up to where (0: until it is stopped)."""

    port: int
    user: str
    password: str
    database: str
    slot: str
    interval: int
    until: int

    def write(self, home: Path) -> None:
        home.mkdir(parents=True)
        (home / "order.json").write_text(json.dumps(vars(self)))


def parts_in(home: Path) -> Parts:
    return Parts(Settings(data_dir=home / "data"))


def main() -> None:
    home = Path(sys.argv[1])
    order = Order(**json.loads((home / "order.json").read_text()))
    parts = parts_in(home)
    tools = parts.toolbox
    _write_rows(parts, order)
    with tools.catalog.write() as session:
        fence = archives.take(session, 1, "bench", _DEAD_MS)
        assert fence is not None
    with tools.catalog.read() as session:
        archive, addon = archives.get(session, 1), addons.get(session, 1)
        session.expunge_all()
    guard, lease = Guard(tools.clock), Lease(1, "bench", fence)
    layout = verbs.layout_of(tools, archive, addon)
    looked = 0.0

    def tick() -> None:
        nonlocal looked
        if order.until and time.monotonic() - looked > 0.5:
            looked = time.monotonic()
            with tools.catalog.read() as session:
                stored = session.query(ArchivePiece.end).order_by(ArchivePiece.end.desc()).first()
            if stored is not None and stored[0] >= order.until:
                guard.stop(Interrupted("all of it is stored"))

    engine = verbs.require_followable(tools.engines(addon.kind))
    address = addons.working_address(addon, tools.sealer)
    # A worker has long been started when it begins to receive.
    (home / STARTED).write_text(str(time.process_time()))
    with suppress(Interrupted), engine.follow(address, archive.slot, guard) as following:
        Receiver(tools, archive, addon, layout, lease, tick).run(following)


def _write_rows(parts: Parts, order: Order) -> None:
    tools, now, uid = parts.toolbox, parts.clock.now(), str(uuid.uuid4())
    identity, recipient = age.new_identity()
    password = tools.sealer.seal(Secret(order.password), addons.context(uid))
    with tools.catalog.write() as session:
        project = Project(id="bench", name="Bench", created=now, updated=now)
        session.add(project)
        session.flush()
        addon = Addon(
            uid=uid, project_pk=project.pk, id="bench", name="Bench", kind="postgresql",
            version="15", managed=False, desired="running", status="running", host="127.0.0.1",
            port=order.port, user=order.user, database=order.database, options={},
            sealed_password=password, tags=[], spec={}, created=now, updated=now,
        )  # fmt: skip
        session.add(addon)
        session.flush()
        archive = ArchiveRow(
            addon_pk=addon.pk, wanted=True, days=7, interval_s=order.interval, unbounded=True,
            slot=order.slot, recipient=recipient, fence=0, state=archives.IDLE, since=now,
            sealed_identity=tools.sealer.seal(Secret(identity), archives.context(uid)),
            created=now,
        )  # fmt: skip
        session.add(archive)


if __name__ == "__main__":
    main()
