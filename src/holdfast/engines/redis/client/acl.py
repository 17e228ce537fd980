"""The users of a server: read for a snapshot, merged when one is restored.

`ACL LIST` gives each user as one line of rules, passwords as SHA-256 digests. A file of such lines
is what servers load as their `aclfile`.
"""

import hashlib
from collections.abc import Sequence

from redis.exceptions import RedisError

from holdfast.contracts.local_servers import ADMIN, LocalServer
from holdfast.engines.redis.client.address import Session
from holdfast.kit.seal import Secret

FILE = "users.acl"
_DEFAULT = "default"

HARMLESS = (
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
"""Of what the server calls dangerous: this touches nothing but the data and its users' sessions."""

FORBIDDEN = ("-@admin", "-migrate", "-restore-asking")
"""What other users may not, whatever their owner gave them while he had every right."""


def listed(session: Session) -> Sequence[str] | None:
    """Every user as a line; None when we may not ask."""
    try:
        lines: Sequence[str | bytes] = session.ask("ACL LIST")
    except RedisError:
        return None
    texts = [line.decode() if isinstance(line, bytes) else line for line in lines]
    return [text for text in texts if not text.startswith(f"user {ADMIN} ")]


def of_place(server: LocalServer) -> str:
    """A managed server's first users: ours, its owner's, and `default` for clients that only know
    passwords. The last two have the place's password, and all rights that do not reach further than
    its data.
    """
    owners = f"on sanitize-payload #{_digest(server.password)} ~* &* {_rights(server)}"
    return f"{_admins(server)}user {_DEFAULT} {owners}\nuser {server.user} {owners}\n"


def _digest(password: Secret) -> str:
    return hashlib.sha256(password.reveal().encode()).hexdigest()


def _rights(server: LocalServer) -> str:
    return "+@all" if server.admin is None else " ".join(("+@all", "-@dangerous", *HARMLESS))


def _admins(server: LocalServer) -> str:
    if server.admin is None:
        return ""
    login = server.admin
    return f"user {login.user} on sanitize-payload #{_digest(login.password)} ~* &* +@all\n"


def settled(text: str, server: LocalServer) -> str:
    """The users of a server whose owner had every right, with ours beside. Passwords stay."""
    lines = [line for line in text.splitlines() if line.split()[:1] == ["user"]]
    confined = [_confined(line.split(), server) for line in lines]
    return _admins(server) + "".join(f"{line}\n" for line in confined if line)


def _confined(words: Sequence[str], server: LocalServer) -> str:
    """A user's line without what reaches further than the data; none for one that has our name."""
    name = words[1]
    if name == ADMIN:
        return ""
    if name in (_DEFAULT, server.user):
        credentials = [w for w in words[2:] if w in ("on", "off", "nopass") or w.startswith("#")]
        return " ".join(
            ("user", name, *credentials, "sanitize-payload", "~*", "&*", _rights(server))
        )
    return " ".join(("user", name, *_weaker(_rules(words[2:]))))


def _weaker(rules: Sequence[str]) -> list[str]:
    """What comes last wins, in each selector by itself."""
    last = " ".join(FORBIDDEN)
    return [
        *(f"{rule[:-1]} {last})" if rule.startswith("(") else rule for rule in rules),
        *FORBIDDEN,
    ]


def adopt(
    session: Session, lines: Sequence[str], server: LocalServer
) -> tuple[list[str], list[str]]:
    """Makes the snapshot's users exist beside the place's own two, whose passwords stay.

    On a server whose owner does not administer it they get no right to.

    Returns the names of those that came, and of those the server's version does not understand.
    """
    adopted: list[str] = []
    set_aside: list[str] = []
    for line in lines:
        words = line.split()
        if len(words) < 2 or words[0] != "user" or words[1] in (_DEFAULT, server.user, ADMIN):
            continue
        rules = _rules(words[2:])
        try:
            confined = rules if server.admin is None else _weaker(rules)
            session.ask("ACL SETUSER", words[1], "reset", *confined)
        except RedisError:
            session.ask("ACL DELUSER", words[1])
            set_aside.append(words[1])
        else:
            adopted.append(words[1])
    session.ask("ACL SAVE")
    return adopted, set_aside


def _rules(words: Sequence[str]) -> list[str]:
    """A selector is one rule in parentheses and may hold blanks."""
    rules: list[str] = []
    for word in words:
        if rules and rules[-1].startswith("(") and not rules[-1].endswith(")"):
            rules[-1] = f"{rules[-1]} {word}"
        else:
            rules.append(word)
    return rules
