"""A worker in a process of its own: `queue_worker.py kind url worker concurrency lane...`.

Says on its output what it starts and ends, one line each. A dispatch of an operation called
`hold...` runs until a line comes on the input; the input's end makes it drain.
"""

import os
import sys
import threading

from fixtures.queues import open_queue


def say(*words: object) -> None:
    """One write, so that lines of two threads do not mix."""
    os.write(1, f"{' '.join(map(str, words))}\n".encode())


def main(kind: str, url: str, worker: str, concurrency: str, *lanes: str) -> None:
    released = threading.Event()

    def run(op: str, fence: int) -> None:
        say("start", op, fence)
        if op.startswith("hold"):
            released.wait(30)
        say("end", op, fence)

    queue = open_queue(kind, url)
    queue.run_worker(worker, run, dict.fromkeys(lanes, int(concurrency)))
    say("ready", worker, 0)
    for _ in sys.stdin:
        released.set()
    queue.drain(2)
    say("drained", worker, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
