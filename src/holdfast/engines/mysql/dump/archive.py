"""The members of a dump, and what proves that one is whole.

The stock tools announce every part in a comment and end with `-- Dump completed`. Data holds no
raw line feed, so a line that begins so is theirs; the text of a routine might imitate one, which
can only make us see more tables than there are, never fewer.
"""

from collections.abc import Iterator, Mapping

from holdfast.contracts.engine import Member
from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.foreign_formats import beginnings
from holdfast.engines.mysql.dump import accounts

SCRIPT, ACCOUNTS = "mysql-script", "mysql-accounts"
TRAILER = b"-- Dump completed"

_MARK = b"\n-- "
_DATABASE = b"Current Database: `"
_TABLE = b"Dumping data for table `"
_LONGEST = 1024
_HEAD_BYTES = 64 << 10
SANDBOX = (
    b"/*M!999999\\- enable the sandbox mode */",
    b"/*!999999\\- enable the sandbox mode */",
)
"""How MariaDB's files begin, also those without comments."""
_BEGINNINGS = (
    *SANDBOX,
    b"-- MariaDB dump",
    b"-- MySQL dump",
    b"/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */",
)
NOTES_RESTORED = b"/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */"
"""The last statement of a dump without comments: what its first ones set is put back in the end."""


def begins(head: bytes) -> bool:
    """Also below the comments that people's tools write above a dump."""
    return any(text.startswith(_BEGINNINGS) for text in beginnings(head))


class Scan:
    """What goes by in a dump: databases, tables with data, and whether it came to its end."""

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
        at = text.find(_MARK)
        while at >= 0:
            end = text.find(b"\n", at + 1)
            if end < 0:
                break
            self._mark(text[at + len(_MARK) : end])
            at = text.find(_MARK, end)
        keep = at if at >= 0 and len(text) - at < _LONGEST else len(text) - len(_MARK)
        self._rest = text[max(keep, 0) :]

    def _mark(self, line: bytes) -> None:
        if line.startswith(_DATABASE):
            self._database = _unquoted(line.removeprefix(_DATABASE))
            self.databases.add(self._database)
        elif line.startswith(_TABLE):
            self.tables.add((self._database, _unquoted(line.removeprefix(_TABLE))))

    def problem(self, *endings: bytes) -> str | None:
        """Why this is not a whole dump. `endings`: of the last line, instead of the comment."""
        if not begins(self._head):
            return "it does not begin like a dump of mariadb-dump or mysqldump"
        last = self._last.rstrip(b"\r\n").rpartition(b"\n")[2]
        if not last.startswith((TRAILER, *endings)):
            return "it does not end with `-- Dump completed`: it was cut off"
        return None


def _unquoted(rest: bytes) -> str:
    return rest.rpartition(b"`")[0].replace(b"``", b"`").decode(errors="replace")


def examine(member: Member, plain: Iterator[bytes]) -> Mapping[str, object]:
    """EvidenceMissing when what is stored is not a whole member."""
    if member.format == ACCOUNTS:
        return _examine_accounts(plain)
    if member.format != SCRIPT:
        raise EvidenceMissing(f"{member.name} has an unknown format {member.format!r}")
    scan = Scan()
    for chunk in plain:
        scan.feed(chunk)
    problem = scan.problem()
    if problem is not None:
        raise EvidenceMissing(f"{member.name}: {problem}")
    return {"databases": len(scan.databases), "tableData": len(scan.tables)}


def _examine_accounts(plain: Iterator[bytes]) -> Mapping[str, object]:
    text = b"".join(plain).decode(errors="replace")
    if not text.startswith(accounts.HEAD) or not text.endswith(f"{accounts.TRAILER}\n"):
        raise EvidenceMissing("the accounts are not whole")
    return {"statements": sum(line.endswith(";") for line in text.splitlines())}
