"""Statements for the properties of a database: locale, owner, grants, settings, comment."""

from collections.abc import Collection, Iterator, Sequence

from psycopg import sql
from psycopg.sql import SQL, Composed, Identifier, Literal

from holdfast.engines.postgresql.client.facts import Facts

# Their values are lists: each element is quoted by itself, or search_path would be one name.
_LISTS = {
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
}
_USER = '"$user"'
_DEFAULT_SEARCH_PATH = f"{_USER}, public"
_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}
_PRIVILEGES = {"CREATE": "CREATE", "CONNECT": "CONNECT", "TEMPORARY": "TEMPORARY"}
_LOCALES = {"i": "ICU_LOCALE", "b": "BUILTIN_LOCALE"}


def creation_statement(
    name: str, facts: Facts | None, major: int, tablespaces: frozenset[str] = frozenset()
) -> Composed:
    """CREATE DATABASE from the untouched template, with the locale the original had.

    It belongs to our user at first: the roles of a dump may be made meanwhile.
    """
    parts: list[sql.Composable] = [
        SQL("CREATE DATABASE {} TEMPLATE template0").format(Identifier(name))
    ]
    if facts is None:
        return SQL(" ").join(parts)
    for option, key in (("ENCODING", "encoding"), ("LC_COLLATE", "collate"), ("LC_CTYPE", "ctype")):
        parts.append(SQL("{} {}").format(_word(option), Literal(facts[key])))
    provider = facts["provider"]
    if major >= 15:
        parts.append(SQL("LOCALE_PROVIDER {}").format(_word(_PROVIDERS[provider])))
    if provider in _LOCALES and facts["locale"]:
        parts.append(SQL("{} {}").format(_word(_LOCALES[provider]), Literal(facts["locale"])))
    if facts.get("icuRules"):
        parts.append(SQL("ICU_RULES {}").format(Literal(facts["icuRules"])))
    if facts["tablespace"] in tablespaces:
        parts.append(SQL("TABLESPACE {}").format(Identifier(facts["tablespace"])))
    return SQL(" ").join(parts)


def _word(text: str) -> SQL:
    """A keyword from our own constants above, never from a dump."""
    return SQL(text)  # pyright: ignore[reportArgumentType]


def removals(facts: Facts) -> Iterator[Composed]:
    """Drops what every new database has and this one no longer had; no dump says so."""
    if not facts.get("public", True):
        yield SQL("DROP SCHEMA IF EXISTS public").format()
    if all(extension["name"] != "plpgsql" for extension in facts.get("extensions", ())):
        yield SQL("DROP EXTENSION IF EXISTS plpgsql").format()


def search_path(facts: Facts | None) -> str:
    """The search path of the database's users, as the value of a setting.

    Older dumps record it among their settings only.
    """
    path = _DEFAULT_SEARCH_PATH
    if facts is not None and "searchPath" in facts:
        path = str(facts["searchPath"])
    elif facts is not None:
        entries = [entry for entry in facts["settings"] if entry["role"] is None]
        settings = [setting for entry in entries for setting in entry["settings"]]
        paths = [text for text in settings if text.startswith("search_path=")]
        path = paths[0].partition("=")[2] if paths else path
    owner = None if facts is None else facts["owner"]
    if owner is None or _USER not in path:
        return path
    quoted = str(owner).replace('"', '""')
    return path.replace(_USER, f'{_USER}, "{quoted}"')


def for_all_roles(setting: str) -> Composed:
    """ALTER ROLE ALL SET, of `name=value`."""
    key, _, value = setting.partition("=")
    return SQL("ALTER ROLE ALL SET {} TO {}").format(_setting(key), _value(key, value))


def settings(name: str, facts: Facts) -> Iterator[Composed]:
    """ALTER DATABASE ... SET and ALTER ROLE ... IN DATABASE ... SET."""
    database = Identifier(name)
    for entry in facts["settings"]:
        if entry["role"] is None:
            subject = SQL("ALTER DATABASE {}").format(database)
        else:
            role = Identifier(entry["role"])
            subject = SQL("ALTER ROLE {} IN DATABASE {}").format(role, database)
        for setting in entry["settings"]:
            key, _, value = setting.partition("=")
            yield SQL("{} SET {} TO {}").format(subject, _setting(key), _value(key, value))


def setting_names(facts: Facts) -> set[str]:
    """Names of all settings of the database, in lower case."""
    listed = (setting for entry in facts["settings"] for setting in entry["settings"])
    return {setting.partition("=")[0].lower() for setting in listed}


def with_settings(facts: Facts, names: Collection[str]) -> Facts:
    """The facts with only those settings whose names are in `names`."""
    entries = [
        {
            **entry,
            "settings": [
                setting
                for setting in entry["settings"]
                if setting.partition("=")[0].lower() in names
            ],
        }
        for entry in facts["settings"]
    ]
    return {**facts, "settings": entries}


def _setting(key: str) -> Identifier:
    return Identifier(*key.split("."))


def _value(key: str, value: str) -> Composed:
    elements = split_list(value) if key.lower() in _LISTS else [value]
    return SQL(", ").join([Literal(element) for element in elements] or [Literal("")])


def split_list(text: str) -> Sequence[str]:
    """The elements of a stored list such as `"$user", public, "we""ird"`."""
    elements: list[str] = []
    current, quoted, was_quoted = "", False, False
    position = 0
    while position < len(text):
        char = text[position]
        if char == '"' and quoted and text[position + 1 : position + 2] == '"':
            current += '"'
            position += 1
        elif char == '"':
            quoted, was_quoted = not quoted, True
        elif char == "," and not quoted:
            elements.append(current if was_quoted else current.strip())
            current, was_quoted = "", False
        elif quoted or not char.isspace():
            current += char
        position += 1
    return [*elements, current] if current or was_quoted or elements else []


def ownership(name: str, facts: Facts) -> Iterator[Composed]:
    """Sets the owner and exactly the privileges the original had; none for the default
    privileges."""
    database, owner = Identifier(name), facts["owner"]
    if facts["owner"] is not None:
        yield SQL("ALTER DATABASE {} OWNER TO {}").format(database, Identifier(facts["owner"]))
    if facts["acl"] is None:
        return
    yield SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database)
    yield SQL("REVOKE ALL ON DATABASE {} FROM {}").format(database, Identifier(owner))
    for entry in facts["acl"]:
        grantee = SQL("PUBLIC") if entry["grantee"] is None else Identifier(entry["grantee"])
        grant = SQL("GRANT {} ON DATABASE {} TO {}{}").format(
            _word(_PRIVILEGES[entry["privilege"]]),
            database,
            grantee,
            SQL(" WITH GRANT OPTION" if entry["grantable"] else ""),
        )
        if entry["grantor"] == owner:
            yield grant
        else:
            yield SQL("SET LOCAL ROLE {}; {}; RESET ROLE").format(
                Identifier(entry["grantor"]), grant
            )


def final_statements(name: str, facts: Facts | None) -> Iterator[Composed]:
    """The last statements: what would have hindered the load before.

    The connection limit is always set, even to its present value: waiting until that commit is
    durable waits for all commits before it.
    """
    database = Identifier(name)
    if facts is not None and facts["comment"] is not None:
        yield SQL("COMMENT ON DATABASE {} IS {}").format(database, Literal(facts["comment"]))
    yield SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(
        database, Literal(-1 if facts is None else int(facts["connectionLimit"]))
    )
    if facts is not None and facts["template"]:
        yield SQL("ALTER DATABASE {} IS_TEMPLATE true").format(database)
