"""Gives a server the users and roles of a dump, and never locks out the caller.

Users are stored credentials that no command creates, so they are written as documents. A user whose
`userId` changes loses its sessions, so present ones keep theirs. None is removed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.contracts.engine import Address
from holdfast.contracts.local_servers import ADMIN
from holdfast.engines.mongodb.client.connection import Connection, Document, WireError, decoded
from holdfast.engines.mongodb.client.server_errors import UNAUTHORIZED, error_code, error_text
from holdfast.engines.mongodb.hosting.limits import limited_role, limited_user
from holdfast.engines.mongodb.restore.sealed import HOME, Key, SealedCollection
from holdfast.kit.seal import Sealer

Say = Callable[[str], None]
_NO_SUCH = (11, 31)  # user, role
_ROLE_FIELDS = ("privileges", "roles", "authenticationRestrictions")
_MAX_NAMED = 20


@dataclass(frozen=True)
class Accounts:
    """Users and roles as documents of `admin.system.users` and `admin.system.roles`."""

    users: Sequence[Document]
    roles: Sequence[Document]


class KeptAccounts:
    """Accounts in sealed collections beside the server's own: those of a dump, or the old ones."""

    def __init__(self, connection: Connection, prefix: str, sealer: Sealer) -> None:
        self._connection = connection
        self._users = SealedCollection(connection, f"{prefix}users", sealer)
        self._roles = SealedCollection(connection, f"{prefix}roles", sealer)

    def keep(self, kind: str, documents: Iterator[bytes]) -> None:
        """Adds documents of `system.users` or `system.roles`; others are passed over."""
        collection = {"system.users": self._users, "system.roles": self._roles}.get(kind)
        if collection is not None:
            entries: list[tuple[Key, bytes]] = [
                (str(decoded(document)["_id"]), document) for document in documents
            ]
            collection.save(entries)

    def accounts(self, say: Say) -> Accounts:
        """RestoreDiffers if they are not as they were kept."""
        users = [user for _, user in self._users.documents() if _is_named(user, "user", say)]
        roles = [role for _, role in self._roles.documents() if _is_named(role, "role", say)]
        return Accounts(users, roles)


def _is_named(document: Mapping[str, Any], kind: str, say: Say) -> bool:
    """Whether an account is stored under its own name: else it would replace another one."""
    name, database, key = document.get(kind), document.get("db"), document["_id"]
    if isinstance(name, str) and isinstance(database, str) and key == f"{database}.{name}":
        return True
    say(f"{kind} {key!r} is left out: it is stored under the name of another one")
    return False


@dataclass(frozen=True)
class AccountPlan:
    """What `apply` does: users and roles that are new, and those that change."""

    new: Accounts
    changed: Accounts

    @property
    def created(self) -> Mapping[str, Sequence[Sequence[str]]]:
        """Those that are new, by the command that drops them."""
        return {
            "dropUser": [[user["user"], user["db"]] for user in self.new.users],
            "dropRole": [[role["role"], role["db"]] for role in self.new.roles],
        }


def plan(connection: Connection, address: Address, accounts: Accounts, say: Say) -> AccountPlan:
    """What giving the server these accounts means; nothing if we may not read its own.

    The user we are, with its roles, and the owner of a managed server stay as they are: their
    passwords belong to the server. There, users and roles get no rights that its owner has not.
    """
    try:
        users, roles = (
            {account["_id"]: account for account in connection.documents(HOME, {"find": name})}
            for name in ("system.users", "system.roles")
        )
    except WireError as error:
        if error_code(error) != UNAUTHORIZED:
            raise
        say(f"users and roles stay as they are: our user may not read them ({error_text(error)})")
        return AccountPlan(Accounts([], []), Accounts([], []))
    login: Document = connection.command(HOME, {"connectionStatus": 1})["authInfo"]
    own_users = {(user["user"], user["db"]) for user in login["authenticatedUsers"]}
    own_users.add((address.user, HOME))
    # What we may do now we must still be able to do when the old data is dropped.
    own_roles = {(role["role"], role["db"]) for role in login["authenticatedUserRoles"]}
    wanted_users = [
        user if address.owner is None else limited_user(user)
        for user in accounts.users
        if (user["user"], user["db"]) not in own_users
        and user["user"] not in (address.owner, ADMIN)
    ]
    wanted_roles = [
        role if address.owner is None else limited_role(role)
        for role in accounts.roles
        if (role["role"], role["db"]) not in own_roles
    ]
    changed_users: list[Document] = []
    for user in wanted_users:
        old = users.get(user["_id"])
        if old is not None:
            identity = {"userId": old["userId"]} if "userId" in old else {}
            changed_users += [{**user, **identity}] if {**user, **identity} != old else []
    return AccountPlan(
        Accounts(
            [user for user in wanted_users if user["_id"] not in users],
            [role for role in wanted_roles if role["_id"] not in roles],
        ),
        Accounts(
            changed_users,
            [role for role in wanted_roles if roles.get(role["_id"], role) != role],
        ),
    )


def announce(planned: AccountPlan, say: Say) -> None:
    """Names the accounts that are there already and will become those of the backup."""
    for kind, accounts in (("users", planned.changed.users), ("roles", planned.changed.roles)):
        names = [str(account["_id"]) for account in accounts]
        if names:
            more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
            say(
                f"{kind} that the server has, and that become those of the backup:"
                f" {', '.join(names[:_MAX_NAMED])}{more}"
            )


def apply(connection: Connection, planned: AccountPlan, say: Say) -> None:
    """Creates and changes what is planned. Repeatable. What the server refuses is said."""
    present = {role["_id"] for role in planned.changed.roles}
    apply_roles(connection, [*planned.new.roles, *planned.changed.roles], present, say)
    for user in (*planned.new.users, *planned.changed.users):
        try:
            update: Document = {"q": {"_id": user["_id"]}, "u": user, "upsert": True}
            connection.write(HOME, {"update": "system.users", "updates": [update]})
        except WireError as error:
            if not error_code(error):
                raise
            say(f"user {user['_id']} is not made as it was: {error_text(error)}")


def drop_accounts(
    connection: Connection, accounts: Mapping[str, Sequence[Sequence[str]]], say: Say
) -> None:
    """Drops users and roles, each given as its name and its database: see `AccountPlan.created`."""
    for verb, names in accounts.items():
        for name, database in names:
            try:
                connection.write(database, {verb: name})
            except WireError as error:
                if not error_code(error):
                    raise
                if error_code(error) not in _NO_SUCH:
                    say(f"{database}.{name} stays: {error_text(error)}")


def apply_roles(connection: Connection, roles: list[Document], present: set[Any], say: Say) -> None:
    """Roles may have each other, so they are made in rounds while a round makes any."""
    waiting, reasons = roles, dict[str, str]()
    while waiting:
        refused: list[Document] = []
        for role in waiting:
            verb = "updateRole" if role["_id"] in present else "createRole"
            fields = {name: role[name] for name in _ROLE_FIELDS if name in role}
            try:
                connection.write(role["db"], {verb: role["role"], **fields})
            except WireError as error:
                if not error_code(error):
                    raise
                refused.append(role)
                reasons[role["_id"]] = error_text(error)
        if len(refused) == len(waiting):
            break
        waiting = refused
    for role in waiting:
        say(f"role {role['_id']} is not made as it was: {reasons[role['_id']]}")
