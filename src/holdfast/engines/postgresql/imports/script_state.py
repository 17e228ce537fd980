"""Follows a script of SQL: which database, encoding and schema its statements are for."""

import re
from collections.abc import Mapping

from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.postgresql.dump.script import Item, PsqlCommand, Script, Statement
from holdfast.engines.postgresql.imports.statement_filter import NAME

_ENCODING = re.compile(
    r"SET (?:SESSION )?(?:client_encoding\s*(?:=|TO)|NAMES)\s*'?([\w-]+)"
    r"|SELECT (?:pg_catalog\.)?set_config\('client_encoding',\s*'([\w-]+)'",
    re.IGNORECASE,
)
_SCHEMA = re.compile(rf"SET (?:SESSION )?search_path\s*(?:=|TO)\s*'?{NAME}", re.IGNORECASE)
_SCHEMA_CONFIG = re.compile(
    rf"SELECT (?:pg_catalog\.)?set_config\('search_path',\s*'(?:{NAME})?", re.IGNORECASE
)
_STRINGS = re.compile(
    r"SET (?:SESSION )?standard_conforming_strings\s*(?:=|TO)\s*'?(\w+)", re.IGNORECASE
)
_CONNECT = re.compile(r"\\c(?:onnect)?\s+(?:-reuse-previous=\w+\s+)?(.+?)\s*$")
_DBNAME = re.compile(r"dbname\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S+))")

_HARMLESS = frozenset(
    ("restrict", "unrestrict", "echo", "qecho", "warn", "timing", "pset", "unset", "prompt", "t",
     "x", "a", "q", "errverbose", "conninfo", "p", "r", "reset")
)  # fmt: skip
"""Commands for psql that change nothing of what is loaded."""
_OF_PSQL = frozenset(
    ("ON_ERROR_STOP", "ON_ERROR_ROLLBACK", "AUTOCOMMIT", "QUIET", "ECHO", "ECHO_HIDDEN",
     "VERBOSITY", "FETCH_COUNT", "SHOW_CONTEXT", "SINGLELINE", "HIDE_TABLEAM",
     "HIDE_TOAST_COMPRESSION", "PROMPT1")
)  # fmt: skip
"""Variables that psql reads itself. Others are substituted in statements, which we do not do."""

_AS_BYTES = ("UTF8", "UTF-8", "UNICODE", "SQL_ASCII", "EUC_TW", "MULE_INTERNAL")
_CODECS: Mapping[str, str] = {
    **dict.fromkeys(("UTF8", "UTF-8", "UNICODE", "SQL_ASCII"), "utf-8"),
    **{f"LATIN{n}": f"iso8859-{part}" for n, part in
       zip(range(1, 11), (1, 2, 3, 4, 9, 10, 13, 14, 15, 16), strict=True)},
    **{f"ISO_8859_{part}": f"iso8859-{part}" for part in range(5, 9)},
    **{f"ISO-8859-{part}": f"iso8859-{part}" for part in range(1, 17) if part != 12},
    **{f"WIN{page}": f"cp{page}" for page in (866, 874, *range(1250, 1259))},
    "WIN": "cp1251", "ALT": "cp866", "KOI8R": "koi8-r", "KOI8": "koi8-r", "KOI8U": "koi8-u",
    "EUC_JP": "euc_jp", "EUC_JIS_2004": "euc_jis_2004", "EUC_KR": "euc_kr", "EUC_CN": "gb2312",
}  # fmt: skip
"""By PostgreSQL's names. Encodings in which a quote may be half a character are missing."""


class ScriptState:
    """The state of psql after the statements so far.

    `database` is empty until the file connects to one. `schema` is where names without a schema
    lead to; empty: nowhere. `encoding` is as the file declares it.
    """

    def __init__(self) -> None:
        self.database = ""
        self.schema = "public"
        self.encoding = "UTF8"

    def text(self, statement: bytes) -> str:
        """The statement as text; bytes that are no characters are written as `\\xfc`."""
        return statement.decode(_CODECS[self.encoding], errors="backslashreplace")

    def follow(self, item: Item, script: Script) -> None:
        """EvidenceMissing for statements and commands that cannot be followed safely."""
        if isinstance(item, PsqlCommand):
            word, _, arguments = item.text.removeprefix("\\").partition(" ")
            is_harmless = word in _HARMLESS
            if word in ("connect", "c"):
                self._connect(item.text)
            elif word == "encoding" and arguments:
                self._encode(arguments.strip().strip("'"))
            elif not (is_harmless or (word == "set" and arguments.split(" ")[0] in _OF_PSQL)):
                raise EvidenceMissing(
                    f"the file holds a command for psql, which is not run here: {item.text[:60]!r};"
                    " take it out, or load the file with psql and make a dump with pg_dump"
                )
            return
        if not isinstance(item, Statement):
            return
        text = self.text(item.text[:4096])
        if encoding := _ENCODING.match(text):
            self._encode(encoding[1] or encoding[2])
        elif schema := _SCHEMA.match(text) or _SCHEMA_CONFIG.match(text):
            self.schema = unquoted(schema, 1)
        elif strings := _STRINGS.match(text):
            script.escapes = strings[1].lower() in ("off", "false", "no", "0")

    def _encode(self, name: str) -> None:
        if name.upper() not in _CODECS:
            raise EvidenceMissing(
                f"a dump in the encoding {name} cannot be read safely; make it with pg_dump"
                " --encoding=UTF8"
            )
        self.encoding = name.upper()

    def _connect(self, line: str) -> None:
        match = _CONNECT.match(line)
        self.schema, self.encoding = "public", "UTF8"
        if match is None or match[1].strip("-") == "":
            return  # to the same database, as another user
        words = match[1]
        if words.startswith('"dbname'):
            words = words[1:-1].replace('""', '"')
        if dbname := _DBNAME.match(words):
            self.database = re.sub(r"\\(.)", r"\1", dbname[1]) if dbname[1] else dbname[2]
        elif quoted := re.match(r'"((?:[^"]|"")*)"', words):
            self.database = quoted[1].replace('""', '"')
        elif words.split()[0] != "-":
            self.database = words.split()[0].strip("'")


def unquoted(match: re.Match[str], group: int) -> str:
    """The name in one of two groups: a quoted name, or one that is folded to lower case."""
    quoted, bare = match[group], match[group + 1]
    return quoted.replace('""', '"') if quoted is not None else (bare or "").lower()
