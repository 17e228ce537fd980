"""Proves that the members of a dump are whole.

The stock tools announce every part in a comment and end with `-- Dump completed`. Data holds no
raw line feed, so a line that begins with `-- ` is theirs; the text of a routine might imitate one,
which can only make us see more tables than there are, never fewer.
"""

from collections.abc import Iterator, Mapping

from holdfast.contracts.engine import Member
from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.foreign_formats import beginnings
from holdfast.engines.mysql.dump import accounts

SCRIPT, ACCOUNTS = "mysql-script", "mysql-accounts"
TRAILER = b"-- Dump completed"

_COMMENT = b"\n-- "
_DATABASE = b"Current Database: `"
_TABLE = b"Dumping data for table `"
_MAX_MARK_BYTES = 1024
_HEAD_BYTES = 64 << 10
SANDBOX = (
    b"/*M!999999\\- enable the sandbox mode */",
    b"/*!999999\\- enable the sandbox mode */",
)
"""The first line of MariaDB's files, also of those without comments."""
_BEGINNINGS = (
    *SANDBOX,
    b"-- MariaDB dump",
    b"-- MySQL dump",
    b"/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */",
)
NOTES_RESTORED = b"/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */"
"""The last statement of a dump without comments, which puts settings of the first ones back."""


def begins(head: bytes) -> bool:
    """Whether a dump begins here, perhaps below comments that other tools wrote above it."""
    return any(text.startswith(_BEGINNINGS) for text in beginnings(head))


class Scan:
    """Watches a dump go by: its databases, its tables with data, and whether it ends well."""

    def __init__(self) -> None:
        self.tables: set[tuple[str, str]] = set()
        self.databases: set[str] = set()
        self._database = ""
        self._head = b""
        self._rest = b"\n"
        self._last = b""
        self.bytes = 0

    def feed(self, data: bytes) -> None:
        self.bytes += len(data)
        if len(self._head) < _HEAD_BYTES:
            self._head += data[:_HEAD_BYTES]
        self._last = (self._last + data[-256:])[-256:]
        text = self._rest + data
        at = text.find(_COMMENT)
        while at >= 0:
            end = text.find(b"\n", at + 1)
            if end < 0:
                break
            line = text[at + len(_COMMENT) : end]
            if line.startswith(_DATABASE):
                self._database = _unquoted(line.removeprefix(_DATABASE))
                self.databases.add(self._database)
            elif line.startswith(_TABLE):
                self.tables.add((self._database, _unquoted(line.removeprefix(_TABLE))))
            at = text.find(_COMMENT, end)
        keep = at if at >= 0 and len(text) - at < _MAX_MARK_BYTES else len(text) - len(_COMMENT)
        self._rest = text[max(keep, 0) :]

    def problem(self, *endings: bytes) -> str | None:
        """Why this is no whole dump; None when it is. `endings` may stand for the last comment."""
        if not begins(self._head):
            return "it does not begin like a dump of mariadb-dump or mysqldump"
        last = self._last.rstrip(b"\r\n").rpartition(b"\n")[2]
        if not last.startswith((TRAILER, *endings)):
            return "it does not end with `-- Dump completed`: it was cut off"
        return None


def _unquoted(rest: bytes) -> str:
    return rest.rpartition(b"`")[0].replace(b"``", b"`").decode(errors="replace")


def examine(member: Member, plain: Iterator[bytes]) -> Mapping[str, object]:
    """Counts what a stored member holds. EvidenceMissing when it is not whole."""
    if member.format == ACCOUNTS:
        text = b"".join(plain).decode(errors="replace")
        if not text.startswith(accounts.HEAD) or not text.endswith(f"{accounts.TRAILER}\n"):
            raise EvidenceMissing("the accounts are not whole")
        return {"statements": sum(line.endswith(";") for line in text.splitlines())}
    if member.format != SCRIPT:
        raise EvidenceMissing(f"{member.name} has an unknown format {member.format!r}")
    scan = Scan()
    for chunk in plain:
        scan.feed(chunk)
    problem = scan.problem()
    if problem is not None:
        raise EvidenceMissing(f"{member.name}: {problem}")
    return {"databases": len(scan.databases), "tableData": len(scan.tables)}
