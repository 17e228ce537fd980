"""What a follower of a server's log owes the server."""

import signal
from contextlib import suppress

from fixtures.debian_postgres import running_postgres
from holdfast.contracts.archive import Arrival
from holdfast.contracts.engine import Address
from holdfast.domain.errors import Failure
from holdfast.engines.postgresql.physical.following import follow
from holdfast.kit.clock import SystemClock
from holdfast.kit.processes.guard import Guard
from holdfast.kit.seal import Secret

SLOT = "follower"


def test_a_server_shuts_down_although_nothing_is_stored_yet() -> None:
    """It waits until followers flushed all, if they say that they flush. The slot keeps it."""
    server = running_postgres()
    database = server.database
    address = Address("127.0.0.1", database.port, "postgres", Secret(database.password), "postgres")
    try:
        with suppress(Failure), follow(address, SLOT, Guard(SystemClock())) as following:
            following.begin(following.line, following.oldest)
            position = following.vitals().position
            end = 0
            while end < position:
                arrival = following.receive(0.2)
                end = arrival.start + len(arrival.data) if isinstance(arrival, Arrival) else end
            following.keep(following.oldest + 8192)
            slot = "SELECT restart_lsn - '0/0'::pg_lsn FROM pg_replication_slots"
            while database.run(slot) != [(following.oldest + 8192,)]:
                following.receive(0.05, paused=True)
            server.child.send_signal(signal.SIGINT)  # a fast shutdown
            while server.child.poll() is None:
                following.receive(0.2)
        assert server.child.wait(60) == 0
    finally:
        server.stop()
