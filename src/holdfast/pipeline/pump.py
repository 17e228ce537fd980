"""The one thread that moves bytes from a source through the stages into an upload.

Synchronous on purpose: big chunks through C code that drops the GIL cost next to nothing, while
an event loop or a queue between threads in the byte path costs a quarter of the throughput. The
kernel's pipe buffer lets the source run ahead meanwhile.
"""

from collections.abc import Callable, Sequence

from holdfast.contracts.stage import Stage
from holdfast.contracts.store import Upload
from holdfast.kit.processes.guard import Guard
from holdfast.pipeline.chain import Chain

CHUNK = 1 << 20


def pump(
    source_read: Callable[[int], bytes],
    stages: Sequence[Stage],
    upload: Upload,
    guard: Guard,
    chunk: int = CHUNK,
) -> None:
    """Moves everything until the source is empty; the guard may stop it between chunks.

    The end of the data says nothing about whether the source ended well: the caller asks the
    source, and only then commits the upload.
    """
    chain = Chain(stages)
    while data := source_read(chunk):
        guard.check()
        if ready := chain.feed(data):
            upload.write(ready)
    guard.check()
    if rest := chain.finish():
        upload.write(rest)
