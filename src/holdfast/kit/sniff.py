"""What a file is, as far as its first bytes tell: for saying what somebody gave us instead."""

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
    b"SQLite format 3\0": "an SQLite database",
    b"PRAGMA ": "a dump of SQLite",
    b"PK\x03\x04": "a zip archive",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"\x1f\x8b": "a gzip file in a gzip file",
    b"\xff\xfe": "UTF-16 text, as PowerShell's redirection writes it",
    b"\xfe\xff": "UTF-16 text",
    b"<": "a page of HTML or XML",
    b"{": "JSON",
}


def described(head: bytes) -> str | None:
    """None when nothing is recognised."""
    text = head.lstrip()
    for beginning, name in _BEGINNINGS.items():
        if text.startswith(beginning):
            return name
    return "a tar archive" if head[257:262] == b"ustar" else None
