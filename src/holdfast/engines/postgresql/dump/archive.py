"""Is a stored member whole and readable? The stock tool parses it; we count what it lists.

`pg_restore --list` stops reading after the table of contents, which is at the front, so only the
head of an archive is fetched. That the rest is there is known otherwise: the digest of what was
stored, and the proper end that was seen when it was dumped.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import suppress

from holdfast.contracts.engine import Member
from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.postgresql.client.commands import pg_restore_list
from holdfast.engines.postgresql.client.tools import ToolSet
from holdfast.engines.postgresql.dump.statements import Unparsable, split
from holdfast.kit.processes.pipes import write_all
from holdfast.kit.processes.process import PIPE, Child

ARCHIVE = "pg_dump-custom"
GLOBALS = "pg_dumpall-globals"
TRAILER = b"-- PostgreSQL database cluster dump complete"
HEADING = b"-- PostgreSQL database cluster dump"
END_OF_DATA = bytes(5)
"""A data block ends with a chunk of length zero: a sign byte and four more."""

_ENTRY = re.compile(r"^\d+; \d+ \d+ (.+)$", re.MULTILINE)
_HEADER = re.compile(
    r"^;\s+(Dumped \w+ \w+ version|Format|TOC Entries|Compression): ?(.*)$", re.MULTILINE
)
_GLOBALS_LIMIT = 256 << 20


def examine(tools: ToolSet, member: Member, plain: Iterator[bytes]) -> dict[str, object]:
    """Structure facts of a member; EvidenceMissing when it has none."""
    if member.format == GLOBALS:
        return _examine_globals(member, plain)
    if member.format == ARCHIVE:
        return _examine_archive(tools, member, plain)
    raise EvidenceMissing(f"{member.name} has a format nobody knows: {member.format}")


def _examine_archive(tools: ToolSet, member: Member, plain: Iterator[bytes]) -> dict[str, object]:
    status, listing, complaint = list_archive(tools, plain)
    entries = _ENTRY.findall(listing)
    if status != 0 or not _HEADER.search(listing):
        raise EvidenceMissing(
            f"{member.name} is not a readable archive: {complaint.strip()[-300:] or 'no list'}"
        )
    header = dict(_HEADER.findall(listing))
    return {
        "entries": len(entries),
        "tableData": sum(entry.startswith("TABLE DATA ") for entry in entries),
        "largeObjects": sum(entry.startswith(("BLOB", "BLOBS ")) for entry in entries),
        "dumpedFrom": header.get("Dumped from database version", ""),
        "dumpedBy": header.get("Dumped by pg_dump version", ""),
    }


def list_archive(tools: ToolSet, plain: Iterator[bytes]) -> tuple[int, str, str]:
    """Exit status, list and complaints of `pg_restore --list`, fed with as much as it wants."""
    child = Child(pg_restore_list(tools), stdin=PIPE)
    # The list is read here while a second thread feeds: either pipe could fill up otherwise.
    trouble: list[BaseException] = []
    feeder = threading.Thread(target=feed, args=(child, plain, trouble), daemon=True)
    try:
        feeder.start()
        listing = child.stdout.read()
        finished = child.wait()
        feeder.join()
    finally:
        child.close()
    if trouble:
        raise trouble[0]
    return finished.status, listing.decode(errors="replace"), finished.stderr


def feed(child: Child, plain: Iterator[bytes], trouble: list[BaseException]) -> None:
    try:
        with suppress(BrokenPipeError), child.stdin as pipe:
            for chunk in plain:
                write_all(pipe, chunk)
    except BaseException as error:  # noqa: BLE001 - carried to the thread that asked
        trouble.append(error)
        child.kill()


def _examine_globals(member: Member, plain: Iterator[bytes]) -> dict[str, object]:
    text = collect(plain)
    if HEADING not in text[:200] or TRAILER not in text[-400:]:
        raise EvidenceMissing(f"{member.name} does not begin and end like a dump of globals")
    try:
        statements = split(text.decode())
    except (Unparsable, UnicodeDecodeError) as error:
        raise EvidenceMissing(f"{member.name} cannot be read: {error}") from error
    roles = sum(statement.upper().startswith("CREATE ROLE ") for statement in statements)
    return {"entries": len(statements), "roles": roles}


def collect(plain: Iterator[bytes]) -> bytes:
    """All of a small member."""
    parts: list[bytes] = []
    size = 0
    for chunk in plain:
        parts.append(chunk)
        size += len(chunk)
        if size > _GLOBALS_LIMIT:
            raise EvidenceMissing(f"the globals are larger than {_GLOBALS_LIMIT} bytes")
    return b"".join(parts)
