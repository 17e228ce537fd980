"""The users of a server: read for a snapshot, merged when one is restored.

`ACL LIST` gives each user as one line of rules, passwords as SHA-256 digests. A file of such lines
is what servers load as their `aclfile`.
"""

import hashlib
from collections.abc import Sequence

from redis.exceptions import RedisError

from holdfast.contracts.place import Place
from holdfast.engines.redis.address import Session

FILE = "users.acl"
_DEFAULT = "default"


def listed(session: Session) -> Sequence[str] | None:
    """Every user as a line; None when we may not ask."""
    try:
        lines: Sequence[str | bytes] = session.ask("ACL LIST")
    except RedisError:
        return None
    return [line.decode() if isinstance(line, bytes) else line for line in lines]


def of_place(place: Place) -> str:
    """A managed server's first users: its own, and `default` for clients that only know passwords.

    Both have the place's password and every right.
    """
    digest = hashlib.sha256(place.password.reveal().encode()).hexdigest()
    rules = f"on sanitize-payload #{digest} ~* &* +@all"
    return f"user {_DEFAULT} {rules}\nuser {place.user} {rules}\n"


def adopt(session: Session, lines: Sequence[str], place: Place) -> tuple[list[str], list[str]]:
    """Makes the snapshot's users exist beside the place's own two, whose passwords stay.

    Returns the names of those that came, and of those the server's version does not understand.
    """
    came: list[str] = []
    aside: list[str] = []
    for line in lines:
        words = line.split()
        if len(words) < 2 or words[0] != "user" or words[1] in (_DEFAULT, place.user):
            continue
        try:
            session.ask("ACL SETUSER", words[1], "reset", *_rules(words[2:]))
        except RedisError:
            session.ask("ACL DELUSER", words[1])
            aside.append(words[1])
        else:
            came.append(words[1])
    session.ask("ACL SAVE")
    return came, aside


def _rules(words: Sequence[str]) -> list[str]:
    """A selector is one rule in parentheses and may hold blanks."""
    rules: list[str] = []
    for word in words:
        if rules and rules[-1].startswith("(") and not rules[-1].endswith(")"):
            rules[-1] = f"{rules[-1]} {word}"
        else:
            rules.append(word)
    return rules
