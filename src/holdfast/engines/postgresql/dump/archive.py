"""Examines stored members: the stock tool parses an archive, and we count what it lists.

`pg_restore --list` stops reading after the table of contents, which is at the front, so only the
head of an archive is fetched. The rest is known to be there by the digest of what was stored, and
by the proper end that was seen when it was dumped.
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
"""A data block ends with a chunk of length zero: a sign byte and four bytes of length."""

_ENTRY = re.compile(r"^\d+; \d+ \d+ (.+)$", re.MULTILINE)
_HEADER = re.compile(
    r"^;\s+(Dumped \w+ \w+ version|Format|TOC Entries|Compression): ?(.*)$", re.MULTILINE
)
_MAX_GLOBALS_BYTES = 256 << 20


def examine(tools: ToolSet, member: Member, plain: Iterator[bytes]) -> dict[str, object]:
    """Facts about the structure of a member; EvidenceMissing when it is not readable."""
    if member.format == GLOBALS:
        text = collect(plain)
        if HEADING not in text[:200] or TRAILER not in text[-400:]:
            raise EvidenceMissing(f"{member.name} does not begin and end like a dump of globals")
        try:
            statements = split(text.decode())
        except (Unparsable, UnicodeDecodeError) as error:
            raise EvidenceMissing(f"{member.name} cannot be read: {error}") from error
        roles = sum(statement.upper().startswith("CREATE ROLE ") for statement in statements)
        return {"entries": len(statements), "roles": roles}
    if member.format != ARCHIVE:
        raise EvidenceMissing(f"{member.name} has an unknown format: {member.format}")
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
    """Runs `pg_restore --list`, fed as far as it reads. Returns exit status, list and
    complaints."""
    child = Child(pg_restore_list(tools), stdin=PIPE)
    # A second thread feeds while the list is read here: else both pipes could fill up.
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
    except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
        trouble.append(error)
        child.kill()


def collect(plain: Iterator[bytes]) -> bytes:
    """All bytes of a small member; EvidenceMissing when it is not small."""
    parts: list[bytes] = []
    size = 0
    for chunk in plain:
        parts.append(chunk)
        size += len(chunk)
        if size > _MAX_GLOBALS_BYTES:
            raise EvidenceMissing(f"the globals are larger than {_MAX_GLOBALS_BYTES} bytes")
    return b"".join(parts)
