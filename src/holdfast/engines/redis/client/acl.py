"""Reads a server's users for a snapshot, and merges them when one is restored.

`ACL LIST` gives each user as one line of rules, passwords as SHA-256 digests. Servers load a file
of such lines as their `aclfile`.
"""

import hashlib
from collections.abc import Sequence

from redis.exceptions import RedisError

from holdfast.contracts.local_servers import ADMIN, LocalServer
from holdfast.engines.redis.client.address import Session
from holdfast.kit.seal import Secret

FILE = "users.acl"
_DEFAULT = "default"

ALLOWED_DANGEROUS = (
    "+keys",
    "+flushall",
    "+flushdb",
    "+swapdb",
    "+info",
    "+role",
    "+client",
    "+sort",
    "+sort_ro",
    "+restore",
    "+monitor",
    "+slowlog",
    "+latency",
    "+config|get",
    "+config|resetstat",
    "+acl|whoami",
    "+acl|cat",
    "+acl|genpass",
    "+acl|dryrun",
    "+module|list",
)
"""Commands of the category `dangerous` that affect only the data and its users' sessions."""

FORBIDDEN_RULES = ("-@admin", "-migrate", "-restore-asking")
"""Denied to other users, whatever the owner granted them while being the administrator."""


def list_users(session: Session) -> Sequence[str] | None:
    """Every user as a line; None when our user may not ask."""
    try:
        lines: Sequence[str | bytes] = session.ask("ACL LIST")
    except RedisError:
        return None
    texts = [line.decode() if isinstance(line, bytes) else line for line in lines]
    return [text for text in texts if not text.startswith(f"user {ADMIN} ")]


def initial_users(server: LocalServer) -> str:
    """A managed server's first users: ours, its owner, and `default` for password-only clients.

    The last two have the server's password, and all rights that do not reach beyond its data.
    """
    owners = f"on sanitize-payload #{_digest(server.password)} ~* &* {_rights(server)}"
    return f"{_admin_line(server)}user {_DEFAULT} {owners}\nuser {server.user} {owners}\n"


def _digest(password: Secret) -> str:
    return hashlib.sha256(password.reveal().encode()).hexdigest()


def _rights(server: LocalServer) -> str:
    return (
        "+@all" if server.admin is None else " ".join(("+@all", "-@dangerous", *ALLOWED_DANGEROUS))
    )


def _admin_line(server: LocalServer) -> str:
    if server.admin is None:
        return ""
    login = server.admin
    return f"user {login.user} on sanitize-payload #{_digest(login.password)} ~* &* +@all\n"


def confine_users(text: str, server: LocalServer) -> str:
    """Limits the users of a server whose owner was its administrator, and adds ours."""
    confined = _admin_line(server)
    for line in text.splitlines():
        keyword, *words = line.split() or [""]
        if keyword != "user" or words[0] == ADMIN:
            continue
        name, *rules = words
        if name in (_DEFAULT, server.user):
            states = ("on", "off", "nopass")
            own = [rule for rule in rules if rule in states or rule.startswith("#")]
            confined_rules = [*own, "sanitize-payload", "~*", "&*", _rights(server)]
        else:
            confined_rules = _without_admin_rights(_split_rules(rules))
        confined += " ".join(("user", name, *confined_rules)) + "\n"
    return confined


def _without_admin_rights(rules: Sequence[str]) -> list[str]:
    """Appends the forbidden rules, in each selector too: the last rule wins."""
    last = " ".join(FORBIDDEN_RULES)
    return [
        *(f"{rule[:-1]} {last})" if rule.startswith("(") else rule for rule in rules),
        *FORBIDDEN_RULES,
    ]


def restore_users(
    session: Session, lines: Sequence[str], server: LocalServer
) -> tuple[list[str], list[str]]:
    """Creates the snapshot's users beside the server's own two, whose passwords stay.

    They get no administrative right on a server whose owner has none. Returns the names of those
    that were created, and of those whose rules the server's version does not understand.
    """
    adopted: list[str] = []
    set_aside: list[str] = []
    for line in lines:
        words = line.split()
        if len(words) < 2 or words[0] != "user" or words[1] in (_DEFAULT, server.user, ADMIN):
            continue
        rules = _split_rules(words[2:])
        try:
            confined_lines = rules if server.admin is None else _without_admin_rights(rules)
            session.ask("ACL SETUSER", words[1], "reset", *confined_lines)
        except RedisError:
            session.ask("ACL DELUSER", words[1])
            set_aside.append(words[1])
        else:
            adopted.append(words[1])
    session.ask("ACL SAVE")
    return adopted, set_aside


def _split_rules(words: Sequence[str]) -> list[str]:
    """Joins words to rules: a selector is one rule in parentheses and may hold blanks."""
    rules: list[str] = []
    for word in words:
        if rules and rules[-1].startswith("(") and not rules[-1].endswith(")"):
            rules[-1] = f"{rules[-1]} {word}"
        else:
            rules.append(word)
    return rules
