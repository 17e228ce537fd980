"""Unpacks and checks a dump of pg_dump's directory format that was packed into a tar.

`pg_restore` opens the files that the table of contents names, wherever they are. So before it sees
a stranger's directory every name in it is read here and has to be that of a file beside it. Layout:
`ReadToc` in PostgreSQL's pg_backup_archiver.c.
"""

import io
import re
import shutil
import tarfile
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from holdfast.domain.errors import EvidenceMissing
from holdfast.domain.units import show_bytes

TOC = "toc.dat"
_NAME = re.compile(
    r"toc\.dat|\d+\.dat(\.(gz|lz4|zst))?|blob_\d+\.dat(\.(gz|lz4|zst))?|blobs\w*\.toc"
)
_BLOB = re.compile(r"\d+ blob_\d+\.dat")
_MAGIC = b"PGDMP"
_KNOWN_VERSIONS = ((1, 12), (1, 16))
_FORMATS = (3, 5)  # a directory's contents are written as those of a tar
_SPARE_BYTES = 256 << 20
_PIECE_BYTES = 1 << 20


def is_directory(head: bytes) -> bool:
    """Does a tar begin like a packed directory?

    The tar format of pg_dump has `toc.dat` at its top, too, but with a script and files that are
    not compressed. Members are looked at as far as `head` goes.
    """
    names: list[str] = []
    with (
        suppress(tarfile.TarError, EOFError, OSError),
        tarfile.open(fileobj=io.BytesIO(head), mode="r:") as tar,
    ):
        names.extend(member.name for member in tar if member.isfile())
    nested = any("/" in name.removeprefix("./") for name in names)
    compressed = any(re.search(r"\.dat\.\w+$", name) for name in names)
    recognised = any(_NAME.fullmatch(name.rpartition("/")[2]) for name in names)
    return recognised and (nested or compressed or not head.startswith(b"toc.dat\0"))


@contextmanager
def unpacked(plain: Iterator[bytes]) -> Generator[Path]:
    """A directory that `pg_restore` may read. EvidenceMissing when it must not."""
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:
        directory = Path(folder)
        try:
            with tarfile.open(fileobj=_Readable(plain), mode="r|") as tar:
                for member in tar:
                    if member.isfile():
                        _extract(tar, member, directory)
        except (tarfile.TarError, EOFError) as error:
            raise EvidenceMissing(f"the tar archive is damaged or cut off: {error}") from error
        for _ in plain:
            pass
        _require_own_files(directory)
        yield directory


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, directory: Path) -> None:
    name = member.name.rpartition("/")[2]
    if not _NAME.fullmatch(name):
        raise EvidenceMissing(
            f"the tar archive holds {member.name!r} beside a directory of pg_dump: pack the"
            " directory alone, or make the dump with --format=custom"
        )
    free = shutil.disk_usage(directory).free
    if free < member.size + _SPARE_BYTES:
        raise EvidenceMissing(
            f"a dump of the directory format is unpacked in {directory.parent}, which has"
            f" {show_bytes(free)} left; make the dump with --format=custom"
        )
    content = tar.extractfile(member)
    assert content is not None
    with (directory / name).open("xb") as file:
        shutil.copyfileobj(content, file, _PIECE_BYTES)


def _require_own_files(directory: Path) -> None:
    """EvidenceMissing unless all files that the tables of contents name are in the directory."""
    toc = directory / TOC
    if not toc.exists():
        raise EvidenceMissing("the tar archive holds no toc.dat: it is no dump of pg_dump's")
    names = _Toc(toc.read_bytes()).files()
    for path in directory.glob("blobs*.toc"):
        lines = path.read_text(errors="replace").splitlines()
        if not all(_BLOB.fullmatch(line) for line in lines):
            raise EvidenceMissing(f"{path.name} of the directory names other files than its own")
        names += [line.partition(" ")[2] for line in lines]
    for name in names:
        packed = [name, *(f"{name}.{kind}" for kind in ("gz", "lz4", "zst"))]
        if not _NAME.fullmatch(name):
            raise EvidenceMissing(f"the table of contents names {name!r}, which is not beside it")
        if not any((directory / file_name).exists() for file_name in packed):
            raise EvidenceMissing(
                f"the tar archive lacks {name}, which its table of contents names"
            )


class _Toc:
    """Reads a table of contents as far as the names of files in it."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)
        self._int_bytes = 4
        self._version: tuple[int, int] = (0, 0)

    def files(self) -> list[str]:
        try:
            self.read_header()
            names = [self.read_entry() for _ in range(self._int())]
        except (IndexError, ValueError) as error:
            raise EvidenceMissing("toc.dat of the directory is damaged or cut off") from error
        return [name for name in names if name]

    def read_header(self) -> None:
        if self._take(5) != _MAGIC:
            raise ValueError
        major, minor, _, self._int_bytes, _, kind = self._take(6)
        self._version = (major, minor)
        if not _KNOWN_VERSIONS[0] <= self._version <= _KNOWN_VERSIONS[1]:
            raise EvidenceMissing(
                f"toc.dat is of archive version {major}.{minor}, which is not known here; make the"
                " dump with --format=custom"
            )
        if kind not in _FORMATS:
            raise ValueError
        if self._version >= (1, 15):
            self._take(1)  # which compression
        else:
            self._int()
        for _ in range(7):  # when it was made
            self._int()
        for _ in range(3):  # database, version of the server, version of pg_dump
            self._text()

    def read_entry(self) -> str | None:
        """Reads an entry; returns the name of its file."""
        self._int()
        self._int()
        for _ in range(4):  # two numbers as text, name, kind
            self._text()
        self._int()
        for _ in range(6 if self._version >= (1, 14) else 5):  # definitions and where it belongs
            self._text()
        if self._version >= (1, 16):
            self._int()
        self._text()  # owner
        self._text()
        while self._text() is not None:
            pass
        return self._text()

    def _take(self, count: int) -> bytes:
        data = self._data.read(count)
        if count < 0 or len(data) != count:
            raise ValueError
        return data

    def _int(self) -> int:
        sign, *digits = self._take(1 + self._int_bytes)
        value = int.from_bytes(bytes(digits), "little")
        return -value if sign else value

    def _text(self) -> str | None:
        count = self._int()
        return None if count < 0 else self._take(count).decode(errors="replace")


class _Readable(io.RawIOBase):
    """Chunks as a file that is read once."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._unread = b""

    def read(self, size: int = -1) -> bytes:
        while len(self._unread) < size and (chunk := next(self._chunks, None)) is not None:
            self._unread += chunk
        data, self._unread = self._unread[:size], self._unread[size:]
        return data
