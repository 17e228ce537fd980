"""Gives a server the users and roles of a dump, and never locks out the caller.

Users are stored credentials that no command creates, so new ones are merged as documents; the merge
never drops. A user whose `userId` changes loses its sessions, so present ones keep theirs.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from holdfast.contracts.engine import Address
from holdfast.contracts.local_servers import ADMIN
from holdfast.engines.mongodb.client.connection import Connection, Document, WireError
from holdfast.engines.mongodb.client.server_errors import UNAUTHORIZED, error_code, error_text
from holdfast.engines.mongodb.hosting.limits import limited_role, limited_user
from holdfast.engines.mongodb.restore.ledger import HOME, drop

Say = Callable[[str], None]
_NO_SUCH = (11, 31)  # user, role
_ROLE_FIELDS = ("privileges", "roles", "authenticationRestrictions")
_KEEP_OTHERS: Document = {"drop": False, "writeConcern": {"w": "majority"}}


def apply(
    connection: Connection, address: Address, staged_users: str, staged_roles: str, say: Say
) -> None:
    """Creates or replaces users and roles as in two collections of `admin`. Repeatable.

    What the server refuses is said. The user we are, and the owner of a managed server, stay as
    they are: their passwords belong to the server. There, users and roles get no rights that its
    owner has not.
    """
    try:
        present = {user["_id"]: user for user in _documents(connection, "system.users")}
        roles = {role["_id"] for role in _documents(connection, "system.roles")}
    except WireError as error:
        if error_code(error) != UNAUTHORIZED:
            raise
        say(f"users and roles stay as they are: our user may not read them ({error_text(error)})")
        return
    staged = _documents(connection, staged_roles)
    if address.owner is not None:
        staged = [limited_role(role) for role in staged]
    login = _login(connection)
    # What we may do now we must still be able to do when the old data is dropped.
    own_roles = {(role["role"], role["db"]) for role in login["authenticatedUserRoles"]}
    staged = [role for role in staged if (role["role"], role["db"]) not in own_roles]
    apply_roles(connection, staged, roles, say)
    own = _own_users(login, address)
    users = [
        user
        for user in _documents(connection, staged_users)
        if (user["user"], user["db"]) not in own and user["user"] not in (address.owner, ADMIN)
    ]
    if address.owner is not None:
        users = [limited_user(user) for user in users]
    merge_users(
        connection, [user for user in users if user["_id"] not in present], staged_users, say
    )
    for user in users:
        if user["_id"] in present:
            old = present[user["_id"]]
            document = {**user, **({"userId": old["userId"]} if "userId" in old else {})}
            if document != old:
                replace_user(connection, document, say)


def drop_accounts(
    connection: Connection, accounts: Mapping[str, Sequence[Sequence[str]]], say: Say
) -> None:
    """Drops users and roles, each given as its name and its database: see `new_accounts`."""
    for verb, names in accounts.items():
        for name, database in names:
            try:
                connection.command(database, {verb: name})
            except WireError as error:
                if error_code(error) not in _NO_SUCH:
                    say(f"{database}.{name} stays: {error_text(error)}")


def new_accounts(
    connection: Connection, address: Address, staged_users: str, staged_roles: str
) -> Mapping[str, Sequence[Sequence[str]]]:
    """Users and roles that `apply` would create, by the command that drops them."""
    users = {user["_id"] for user in _documents(connection, "system.users")}
    roles = {role["_id"] for role in _documents(connection, "system.roles")}
    own = {*_own_users(_login(connection), address), (address.owner, HOME)}
    return {
        "dropUser": [
            [user["user"], user["db"]]
            for user in _documents(connection, staged_users)
            if user["_id"] not in users and (user["user"], user["db"]) not in own
        ],
        "dropRole": [
            [role["role"], role["db"]]
            for role in _documents(connection, staged_roles)
            if role["_id"] not in roles
        ],
    }


def _login(connection: Connection) -> Document:
    """The users as which we are logged in, and their roles, inherited ones too."""
    login: Document = connection.command(HOME, {"connectionStatus": 1})["authInfo"]
    return login


def _own_users(login: Document, address: Address) -> set[tuple[str, str]]:
    users = login["authenticatedUsers"]
    return {(user["user"], user["db"]) for user in users} | {(address.user, HOME)}


def _documents(connection: Connection, collection: str) -> list[Document]:
    return list(connection.documents(HOME, {"find": collection, "sort": {"_id": 1}}))


def apply_roles(connection: Connection, roles: list[Document], present: set[Any], say: Say) -> None:
    """Roles may have each other, so they are made in rounds while a round makes any."""
    waiting, reasons = roles, dict[str, str]()
    while waiting:
        refused: list[Document] = []
        for role in waiting:
            verb = "updateRole" if role["_id"] in present else "createRole"
            fields = {name: role[name] for name in _ROLE_FIELDS if name in role}
            try:
                connection.command(role["db"], {verb: role["role"], **fields})
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


def merge_users(connection: Connection, users: list[Document], staged: str, say: Say) -> None:
    if not users:
        return
    temporary = f"{staged}_new"
    drop(connection, HOME, temporary)
    try:
        connection.command(HOME, {"insert": temporary, "documents": users})
        merge: Document = {
            "_mergeAuthzCollections": 1,
            "tempUsersCollection": f"{HOME}.{temporary}",
            "tempRolesCollection": "",
            "db": "",
            **_KEEP_OTHERS,
        }
        connection.command(HOME, merge)
    except WireError as error:
        if not error_code(error):
            raise
        names = ", ".join(str(user["_id"]) for user in users[:5])
        say(f"{len(users)} users are not made ({names}): {error_text(error)}")
    finally:
        drop(connection, HOME, temporary)


def replace_user(connection: Connection, user: Document, say: Say) -> None:
    update: Document = {"q": {"_id": user["_id"]}, "u": user}
    try:
        reply = connection.command(HOME, {"update": "system.users", "updates": [update]})
    except WireError as error:
        if not error_code(error):
            raise
        say(f"user {user['_id']} stays as it is: {error_text(error)}")
        return
    if errors := reply.get("writeErrors"):
        say(f"user {user['_id']} stays as it is: {errors[0].get('errmsg')}")
