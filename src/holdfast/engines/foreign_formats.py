"""Names a file by its first bytes, so that a refused import says what the file is instead."""

from collections.abc import Iterator

_UNPACK = "unpack it and import what is in it"
_DECRYPT = "decrypt it and import what is in it"
_SHELL = (
    "as PowerShell's redirection writes it; let the dump tool write the file itself"
    " (pg_dump --file, mysqldump --result-file)"
)
_MESSAGE = (
    "text that begins with a message of the dump tool; keep its standard error out of the file, or"
    " take that line away"
)
_BEGINNINGS = {
    b"PGDMP": "an archive of pg_dump",
    b"toc.dat\0": "a tar archive of pg_dump",
    b"-- PostgreSQL database dump": "a dump of PostgreSQL",
    b"--\n-- PostgreSQL database": "a dump of PostgreSQL",
    b"-- MySQL dump": "a dump of MySQL",
    b"-- MariaDB dump": "a dump of MariaDB",
    b"/*M!999999": "a dump of MariaDB",
    b"/*!999999": "a dump of MariaDB",
    b"-- phpMyAdmin": "a dump of phpMyAdmin",
    b"REDIS0": "an RDB file of Redis",
    b"VALKEY": "an RDB file of Valkey",
    b"\x6d\xe2\x99\x81": "an archive of mongodump",
    b"SQLite format 3\0": "an SQLite database",
    b"PRAGMA ": "a dump of SQLite",
    b"mysqldump: ": _MESSAGE,
    b"mariadb-dump: ": _MESSAGE,
    b"pg_dump: ": _MESSAGE,
    b"PK\x03\x04": "a zip archive in other archives",
    b"BZh": "a bzip2 file in other archives",
    b"\xfd7zXZ": "an xz file in other archives",
    b"\x1f\x8b": "a gzip file in other archives",
    b"7z\xbc\xaf\x27\x1c": f"a 7-Zip archive; {_UNPACK}",
    b"Rar!\x1a\x07": f"a RAR archive; {_UNPACK}",
    b"\x04\x22\x4d\x18": f"an lz4 file; {_UNPACK}",
    b"-----BEGIN PGP MESSAGE": f"encrypted; {_DECRYPT}",
    b"age-encryption.org": f"encrypted; {_DECRYPT}",
    b"Salted__": f"encrypted; {_DECRYPT}",
    b"\xff\xfe": f"UTF-16 text, {_SHELL}",
    b"\xfe\xff": f"UTF-16 text, {_SHELL}",
    b"<": "a page of HTML or XML",
    b"{": "JSON",
}


def beginnings(head: bytes) -> Iterator[bytes]:
    """Yields the text from each leading comment on, and last from the first statement on.

    Dump tools and people write headers above dumps.
    """
    text = head.lstrip()
    while text:
        yield text
        if text.startswith((b"--", b"#")):
            text = text.partition(b"\n")[2].lstrip()
        elif text.startswith(b"/*") and text[2:3] not in (b"!", b"M"):
            text = text.partition(b"*/")[2].lstrip()
        else:
            return


def described(head: bytes) -> str | None:
    """What the file is; None when that is not recognised."""
    for text in beginnings(head):
        for beginning, name in _BEGINNINGS.items():
            if text.startswith(beginning):
                return name
    return "a tar archive" if head[257:262] == b"ustar" else None


def description_of(head: bytes) -> str:
    """What the file is, or how it begins when that is not recognised."""
    return described(head) or f"not known here; it begins with {head[:24]!r}"
