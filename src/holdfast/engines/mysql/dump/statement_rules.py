"""Allows only the statements that the stock tools write.

Everything else is refused before it runs. An allowed statement gets a fate: run at once in the
staging database, keep for the swap, use another database, or leave out. The last two fates occur
only in foreign dumps (`imports/statement_filter.py`).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.mysql.dump.script import tokens

Tokens = list[tuple[str, str]]


class Fate(Enum):
    RUN = "run"
    ROWS = "rows"
    CODE = "code"
    USE = "go to a database"
    SKIP = "skip"
    DROP_STAND_IN = "drop a stand-in"
    ANNOUNCE = "announce a database"


@dataclass(frozen=True)
class Verdict:
    """What happens to a statement.

    `name` is that of the object or database, `kind` that of stored code, and `database` the one
    that a trigger names itself, because triggers are kept as they were typed. `settings` are the
    literals that a SET gives to settings that matter and to session variables.
    """

    fate: Fate
    kind: str = ""
    name: str = ""
    database: str = ""
    settings: Mapping[str, str] = field(default_factory=dict[str, str])


OBJECT_SETTINGS = ("sql_mode", "character_set_client", "collation_connection", "time_zone")
"""Settings that become a part of an object when it is created."""

COLLATION_OF_DATABASE = "collation of the database"
"""Also becomes part of it; the stock tools set it by ALTER DATABASE around an object."""

CODE = {
    "VIEW": "views",
    "TRIGGER": "triggers",
    "PROCEDURE": "procedures",
    "FUNCTION": "functions",
    "EVENT": "events",
    "PACKAGE": "packages",
}
_MODIFIERS = {"ALGORITHM", "DEFINER", "SQL", "SECURITY", "AGGREGATE", "OR", "REPLACE"}
_SETTABLE = {
    *OBJECT_SETTINGS,
    "names",
    "character_set_results",
    "unique_checks",
    "foreign_key_checks",
    "sql_notes",
    "sql_quote_show_create",
    "autocommit",
    "system_versioning_insert_history",
    "session.system_versioning_insert_history",
    "note_verbosity",
    "show_create_table_skip_secondary_engine",
}
_REPLICATION_SETTINGS = {"session.sql_log_bin", "global.gtid_purged", "gtid_purged", "sql_log_bin"}
"""Settings of replication, which a restore leaves out."""


Handler = Callable[[Tokens], "Verdict | None"]
_HANDLERS: dict[str, Handler] = {}
"""By the first word of a statement."""


def _handles(*words: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        _HANDLERS.update(dict.fromkeys(words, handler))
        return handler

    return register


def judge(statement: bytes) -> Verdict:
    """The verdict on a statement. EvidenceMissing for one that no stock tool writes."""
    statement_tokens = tokens(statement)
    head = statement_tokens[0][1].upper() if statement_tokens else ""
    handler = _HANDLERS.get(head)
    verdict = handler(statement_tokens) if handler is not None else None
    if verdict is None:
        shown = statement[:60].decode(errors="replace")
        raise EvidenceMissing(f"the dump holds a statement that is not allowed: {shown!r}")
    return verdict


def _upper(tokens: Tokens, start: int, count: int) -> list[str]:
    """`count` tokens from `start` in capitals; a negative `start` counts from the end."""
    start = start if start >= 0 else max(len(tokens) + start, 0)
    return [
        text.upper() if kind != "string" else "" for kind, text in tokens[start : start + count]
    ]


def _plain_name(tokens: Tokens, at: int) -> str | None:
    """The name at a position; None when it is qualified with a database.

    A double-quoted text counts, because the definition's own sql_mode may make it a name.
    """
    if at >= len(tokens) or "." in _word_at(tokens, at):
        return None
    if tokens[at][0] not in ("name", "word") and not tokens[at][1].startswith('"'):
        return None
    following = tokens[at + 1][1] if at + 1 < len(tokens) else ""
    return None if following.startswith(".") else unquoted(tokens[at][1])


def _word_at(tokens: Tokens, at: int) -> str:
    return tokens[at][1] if tokens[at][0] == "word" else ""


def unquoted(token: str) -> str:
    quote = token[:1]
    return token[1:-1].replace(quote * 2, quote) if quote in ("`", '"', "'") else token


@_handles("CREATE")
def _create(tokens: Tokens) -> Verdict | None:
    second = _upper(tokens, 1, 1)
    if second == ["DATABASE"]:
        return Verdict(Fate.SKIP)
    if second in (["TABLE"], ["SEQUENCE"]):
        name = _plain_name(tokens, 2)
        return None if name is None else Verdict(Fate.RUN, name=name)
    at = 1
    while at < len(tokens) and tokens[at][1].upper() not in CODE:
        allowed = tokens[at][0] in ("name", "string") or tokens[at][1] in ("=", "@")
        is_modifier = tokens[at][1].upper() in (*_MODIFIERS, "UNDEFINED", "MERGE", "TEMPTABLE")
        host = tokens[at][0] == "word" and tokens[at - 1][1] in ("=", "@")
        if not (allowed or is_modifier or host or tokens[at][1].upper() in ("INVOKER", "NONE")):
            return None
        at += 1
    if at >= len(tokens):
        return None
    kind = CODE[tokens[at][1].upper()]
    at += 2 if _upper(tokens, at + 1, 1) == ["BODY"] else 1
    at += 3 if _upper(tokens, at, 3) == ["IF", "NOT", "EXISTS"] else 0
    body = "BODY" if tokens[at - 1][1].upper() == "BODY" else ""
    database, name = (
        qualified_name(tokens, at) if kind == "triggers" else ("", _plain_name(tokens, at))
    )
    if name is None:
        return None
    return Verdict(Fate.CODE, kind, f"{name}{body and ' BODY'}", database)


def databases_of_trigger(statement: bytes) -> set[str]:
    """Databases that a trigger's head names for itself or its table, as its author typed it."""
    statement_tokens = tokens(statement)
    words = [text.upper() if kind == "word" else "" for kind, text in statement_tokens]
    at = words.index("ON") + 1 if "ON" in words else len(statement_tokens)
    return {judge(statement).database, qualified_name(statement_tokens, at)[0]} - {""}


def qualified_name(tokens: Tokens, at: int) -> tuple[str, str | None]:
    """Database and name of `a.b`, however it is quoted; no database gives an empty string."""
    texts = [text for _, text in tokens[at : at + 3]]
    word = _word_at(tokens, at) if at < len(tokens) else ""
    if "." in word:
        database, _, rest = word.partition(".")
        return database, rest or (unquoted(texts[1]) if len(texts) > 1 else None)
    if len(texts) > 1 and texts[1].startswith("."):
        rest = texts[1][1:] or (texts[2] if len(texts) > 2 else "")
        return unquoted(texts[0]), unquoted(rest) or None
    return "", _plain_name(tokens, at)


@_handles("INSERT", "REPLACE")
def _insert(tokens: Tokens) -> Verdict | None:
    at = next((i for i, (_, text) in enumerate(tokens[:3]) if text.upper() == "INTO"), 0)
    table = _plain_name(tokens, at + 1)
    if not at or table is None:
        return None
    rows = Verdict(Fate.ROWS, name=table)
    at += 2
    if at < len(tokens) and tokens[at][1] == "(":
        while at < len(tokens) and tokens[at][1] != ")":
            at += 1
        if at >= len(tokens) - 1:  # more columns than tokens: left to the server
            return rows
        at += 1
    return rows if _upper(tokens, at, 1) == ["VALUES"] else None


@_handles("SET")
def _set(tokens: Tokens) -> Verdict | None:
    settings: dict[str, str] = {}
    at = 1
    while at < len(tokens):
        end = next((i for i in range(at, len(tokens)) if tokens[i][1] == ","), len(tokens))
        part = tokens[at:end]
        at = end + 1
        setting = _setting(part)
        if setting is None:
            return None
        if setting in _REPLICATION_SETTINGS:
            return Verdict(Fate.SKIP)
        value = part[-1][1]
        if setting == "names":
            settings["character_set_client"] = value
        elif setting in OBJECT_SETTINGS or setting.startswith("@"):
            settings[setting] = value
    return Verdict(Fate.RUN, settings=settings)


def _setting(part: Tokens) -> str | None:
    """The name of the setting, if it may be set: to one value or to another setting."""
    words = [text.lower() for _, text in part]
    if words[:1] == ["session"]:
        words = words[1:]
    if len(words) == 2 and words[0] == "names":
        return "names"
    if len(words) >= 3 and words[0].lstrip("@") in _REPLICATION_SETTINGS:
        return words[0].lstrip("@")
    if len(words) != 3 or words[1] != "=" or words[2] in ("(", "select"):
        return None
    target = words[0]
    if target.startswith("@") and not target.startswith("@@"):
        return target  # a session variable
    plain = target.removeprefix("@@")
    return plain.removeprefix("session.") if plain in _SETTABLE else None


@_handles("LOCK", "UNLOCK", "COMMIT")
def _lock_or_commit(tokens: Tokens) -> Verdict | None:
    words = _upper(tokens, 0, 2)
    known = words in (["LOCK", "TABLES"], ["UNLOCK", "TABLES"]) or words[0] == "COMMIT"
    return Verdict(Fate.SKIP) if known else None


@_handles("DROP")
def _drop(tokens: Tokens) -> Verdict | None:
    """Left out: staging databases are empty, so nothing has to be dropped."""
    words = _upper(tokens, 1, 4)
    at = 2 if words[:1] == ["PACKAGE"] and words[1:2] == ["BODY"] else 1
    dropped = words[:1][0] if words else ""
    allowed = dropped in ("TABLE", "SEQUENCE", *CODE) and words[at : at + 2] == ["IF", "EXISTS"]
    return Verdict(Fate.SKIP) if allowed else None


@_handles("ALTER")
def _alter(tokens: Tokens) -> Verdict | None:
    if _upper(tokens, 1, 1) == ["DATABASE"]:
        collation = tokens[-1][1] if _upper(tokens, -2, 1) == ["COLLATE"] else ""
        fits = re.fullmatch(r"\w+", collation) is not None
        return Verdict(Fate.SKIP, settings={COLLATION_OF_DATABASE: collation} if fits else {})
    keys = _upper(tokens, 3, 2) in (["DISABLE", "KEYS"], ["ENABLE", "KEYS"]) and len(tokens) == 5
    table = _upper(tokens, 1, 1) == ["TABLE"] and _plain_name(tokens, 2) is not None
    return Verdict(Fate.RUN) if table and keys else None


@_handles("DO", "SELECT")
def _setval(tokens: Tokens) -> Verdict | None:
    """`DO SETVAL(`sequence`, 5, 0)`."""
    shape = [text.upper() if at != 3 else "" for at, (_, text) in enumerate(tokens)]
    numbers = [text for text in shape[5:-1] if text != ","]
    fits = shape[1:3] == ["SETVAL", "("] and shape[-1] == ")" and _plain_name(tokens, 3) is not None
    numeric = all(number == "-" or number.isdigit() for number in numbers)
    return Verdict(Fate.RUN) if fits and numeric else None


@_handles("USE")
def _use(tokens: Tokens) -> Verdict | None:
    name = _plain_name(tokens, 1)
    return None if name is None or len(tokens) != 2 else Verdict(Fate.USE, name=name)
