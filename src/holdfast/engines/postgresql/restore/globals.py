"""Plans what a dump's globals (roles and other objects of the whole server) may do on the target.

The text is parsed and judged statement by statement; psql never sees it. Missing roles are made at
once, because databases need owners, and are recorded so that a discarded restore removes them
again. Changes to roles that exist wait for the swap. The target's own admin and its bootstrap
superuser are never changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from holdfast.contracts.local_servers import ADMIN
from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.postgresql.dump.statements import Unparsable, split, words
from holdfast.engines.postgresql.hosting.administrator import MACHINE_ROLES, READER
from holdfast.engines.postgresql.restore import properties

_GRANTOR_NEEDS_RIGHT = 16
_SUPERUSERS = ("SUPERUSER", "REPLICATION", "BYPASSRLS")
_SUPERUSER_ONLY = {f"NO{attribute}" for attribute in _SUPERUSERS}


@dataclass(frozen=True)
class Target:
    """The server to load into. `protected` roles stay as they are."""

    major: int
    superuser: bool
    roles: frozenset[str]
    protected: frozenset[str]
    tablespaces: frozenset[str]
    reserved: frozenset[str] | None = None
    """Settings only a superuser may set, on servers whose superuser is Holdfast's; else None."""
    settable: frozenset[str] | None = None
    """Settings that our user, who is no superuser, may set for roles and databases; None: all."""
    admin_of: frozenset[str] | None = None
    """Roles that our user, who is no superuser, may grant; None: all."""

    def may_give(self, role: str) -> bool:
        return self.admin_of is None or role in self.admin_of

    def may_set(self, name: str) -> bool:
        allowed = self.settable is None or name.lower() in self.settable
        return allowed and name.lower() not in (self.reserved or ())


@dataclass(frozen=True)
class Origin:
    """The server the dump came from."""

    major: int
    bootstrap: str


@dataclass
class GlobalsPlan:
    """Statements of the globals, by when they are executed.

    `needed`: the load fails without them. `now`: new roles and what belongs to them. `later`: at
    the swap. `made`: names of new roles. `notes`: for the log.
    """

    needed: list[str] = field(default_factory=list[str])
    now: list[str] = field(default_factory=list[str])
    later: list[str] = field(default_factory=list[str])
    made: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])

    def set_for_all_roles(self, settings: Sequence[str], target: Target) -> None:
        """Plans ALTER ROLE ALL SET for settings `name=value`."""
        for setting in settings:
            name = setting.partition("=")[0]
            if target.superuser and target.may_set(name):
                self.later.append(properties.for_all_roles(setting).as_string())
            else:
                self.notes.append(f"left out, for only a superuser may: ALTER ROLE ALL SET {name}")


def plan_globals(text: str, origin: Origin, target: Target) -> GlobalsPlan:
    """EvidenceMissing when the text holds anything pg_dumpall does not write."""
    sorter = _GlobalsPlanner(origin, target)
    try:
        for statement in split(text):
            sorter.take(statement)
    except Unparsable as error:
        raise EvidenceMissing(f"the globals of the dump cannot be read: {error}") from error
    return sorter.result


class _GlobalsPlanner:
    def __init__(self, origin: Origin, target: Target) -> None:
        self._origin = origin
        self._target = target
        self.result = GlobalsPlan()
        self._waiting: set[tuple[str, str]] = set()  # (role, member) of grants at the swap

    def take(self, statement: str) -> None:
        handlers = {
            "SET": self.set_session,
            "CREATE ROLE": self.create_role,
            "ALTER ROLE": self.alter_role,
            "COMMENT ON": self.comment_on,
            "SECURITY LABEL": self.label_role,
            "CREATE TABLESPACE": self.change_tablespace,
            "ALTER TABLESPACE": self.change_tablespace,
            "GRANT": self.grant,
            "REVOKE": self.grant_on,
        }
        tokens = words(statement)
        head = " ".join(token.upper() for _, token in tokens[:2])
        handler = handlers.get(head) or handlers.get(head.split(" ", 1)[0])
        if handler is None:
            raise Unparsable(f"a statement is not allowed here: {statement[:60]!r}")
        handler(statement, tokens)

    def set_session(self, statement: str, tokens: list[tuple[str, str]]) -> None:
        """Ignores a setting of the session that would read the text; ours has its own."""

    def create_role(self, statement: str, tokens: list[tuple[str, str]]) -> None:
        role = _name(tokens, 2)
        if len(tokens) != 3:
            raise Unparsable("a statement is longer than it may be")
        if role in self._target.roles or role in self._target.protected:
            return
        self.result.made.append(role)
        self.result.now.append(statement)
        if role == self._origin.bootstrap:
            self.result.notes.append(
                f"role {role} was the source's bootstrap superuser: made without its rights"
            )

    def alter_role(self, statement: str, tokens: list[tuple[str, str]]) -> None:
        role = _name(tokens, 2)
        if len(tokens) < 4 or tokens[3][1].upper() not in ("WITH", "SET", "RESET"):
            raise Unparsable(f"a statement is not allowed here: {statement[:60]!r}")
        made_as_shell = role == self._origin.bootstrap and role in self.result.made
        if made_as_shell or self._is_reserved(role, tokens):
            return
        changes = role in self.result.made or self._target.superuser
        untouched = role in self._target.protected or not changes
        self._change(role, statement if untouched else self._adapted(statement, tokens))

    def _is_reserved(self, role: str, tokens: list[tuple[str, str]]) -> bool:
        """Does it set what only a superuser may, for an owner who is none?"""
        upper = [token.upper() if kind == "word" else "" for kind, token in tokens]
        if "SET" not in upper[3:]:
            return False
        position = upper.index("SET", 3)
        names = [text for kind, text in tokens[position + 1 : position + 4] if kind != "string"]
        name = "".join(names[: 3 if names[1:2] == ["."] else 1]).replace('"', "")
        if self._target.may_set(name):
            return False
        self._note(
            f"the setting {name} of role {role} was left out: only a superuser may choose it"
        )
        return True

    def comment_on(self, statement: str, tokens: list[tuple[str, str]]) -> None:
        object_type = tokens[2][1].upper() if len(tokens) > 2 else ""
        if object_type == "TABLESPACE":
            self._on_tablespace(_name(tokens, 3), statement)
        elif object_type == "ROLE":
            self._change(_name(tokens, 3), statement)
        else:
            raise Unparsable(f"a statement is not allowed here: {statement[:60]!r}")

    def _change(self, role: str, statement: str) -> None:
        if role in self._target.protected:
            return
        if role in self.result.made:
            self.result.now.append(statement)
        elif self._target.superuser:
            self.result.later.append(statement)
        else:
            self._note(f"role {role} stays as it is: only a superuser may change it")

    def grant(self, statement: str, tokens: list[tuple[str, str]]) -> None:
        if len(tokens) < 4 or tokens[2][1].upper() != "TO":
            self.grant_on(statement, tokens)
            return
        role, member = _name(tokens, 1), _name(tokens, 3)
        if READER in (role, member):
            return
        confined = self._target.reserved is not None
        if confined and (role in (*MACHINE_ROLES, ADMIN) or member == ADMIN):
            self._note(f"role {role} was not given to {member}: it reaches too far")
            return
        if role not in self.result.made and not self._target.may_give(role):
            self._note(
                f"role {role} was not given to {member}: that needs ADMIN OPTION on it, which a"
                " superuser gives"
            )
            return
        adapted = self._adapted(statement, tokens)
        grantor = _granted_by(words(adapted))
        # Since 16 a grantor needs the role with ADMIN OPTION. A grantor that exists already gets
        # what the dump grants him at the swap.
        may_grant = (
            grantor is None
            or self._target.major < _GRANTOR_NEEDS_RIGHT
            or (grantor in self.result.made and (role, grantor) not in self._waiting)
        )
        if member in self.result.made and may_grant:
            self.result.now.append(adapted)
        else:
            self._waiting.add((role, member))
            self.result.later.append(adapted)

    def grant_on(self, statement: str, tokens: list[tuple[str, str]]) -> None:
        upper = [token.upper() if kind == "word" else "" for kind, token in tokens]
        position = upper.index("ON") if "ON" in upper else len(upper)
        object_type = upper[position + 1] if position + 1 < len(upper) else ""
        if object_type == "TABLESPACE":
            self._on_tablespace(_name(tokens, position + 2), statement)
        elif (
            object_type == "PARAMETER" and self._target.superuser and self._target.reserved is None
        ):
            self.result.later.append(statement)
        elif object_type == "PARAMETER":
            self._note("grants on server parameters need a superuser and were left out")
        else:
            raise Unparsable(f"a statement is not allowed here: {statement[:60]!r}")

    def change_tablespace(self, statement: str, tokens: list[tuple[str, str]]) -> None:
        name = _name(tokens, 2)
        if name not in self._target.tablespaces:
            self._note(f"tablespace {name} is not on this server: its contents go to the default")
        elif tokens[0][1].upper() == "ALTER" and self._target.superuser:
            self.result.later.append(statement)

    def _on_tablespace(self, name: str, statement: str) -> None:
        if name in self._target.tablespaces and self._target.superuser:
            self.result.later.append(statement)

    def label_role(self, statement: str, tokens: list[tuple[str, str]]) -> None:  # noqa: ARG002
        self._note("security labels of roles were left out")

    def _note(self, text: str) -> None:
        if text not in self.result.notes:
            self.result.notes.append(text)

    def _adapted(self, statement: str, tokens: list[tuple[str, str]]) -> str:
        """The statement without a grantor and attributes that the target would refuse.

        Before 16 a grantor needed no right of its own; 16 and later refuse such a grant.
        """
        grantor = _granted_by(tokens)
        foreign = grantor is not None and (
            grantor == self._origin.bootstrap
            or not self._target.superuser
            or self._origin.major < 16 <= self._target.major
        )
        adapted = tokens[: _position_of_granted(tokens)] if foreign else tokens
        if self._target.reserved is not None and tokens[0][1].upper() == "ALTER":
            strong = ("SUPERUSER", "REPLICATION")
            adapted = [
                (kind, f"NO{text}" if kind == "word" and text.upper() in strong else text)
                if index > 2
                else (kind, text)
                for index, (kind, text) in enumerate(adapted)
            ]
        if not self._target.superuser:
            adapted = self._without_attributes(adapted)
        return statement if adapted == tokens else " ".join(token for _, token in adapted)

    def _without_attributes(self, tokens: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """The tokens without attributes of roles that only a superuser may give or take."""
        allowed: list[tuple[str, str]] = []
        for kind, text in tokens:
            word = text.upper() if kind == "word" else ""
            if word in _SUPERUSERS:
                self._note(f"only a superuser may give a role {word}: left out")
            elif word not in _SUPERUSER_ONLY:
                allowed.append((kind, text))
        return allowed


def _position_of_granted(tokens: list[tuple[str, str]]) -> int:
    upper = [token.upper() if kind == "word" else "" for kind, token in tokens]
    for index in range(len(upper) - 2):
        if upper[index : index + 2] == ["GRANTED", "BY"]:
            return index
    return len(tokens)


def _granted_by(tokens: list[tuple[str, str]]) -> str | None:
    position = _position_of_granted(tokens)
    return _name(tokens, position + 2) if position < len(tokens) else None


def _name(tokens: list[tuple[str, str]], index: int) -> str:
    if index >= len(tokens):
        raise Unparsable("a statement ends where a name should be")
    kind, token = tokens[index]
    if kind == "identifier":
        return token[1:-1].replace('""', '"')
    if kind == "word":
        return token.lower()
    raise Unparsable(f"{token[:40]!r} is where a name should be")
