"""What users and roles of a dump become on a managed server."""

from typing import Any

import pytest

from holdfast.engines.mongodb.hosting.limits import limited_role, limited_user


def roles_of(*roles: tuple[str, str]) -> list[tuple[str, str]]:
    user = {"_id": "x", "roles": [{"role": role, "db": database} for role, database in roles]}
    return [(role["role"], role["db"]) for role in limited_user(user)["roles"]]


def test_roles_of_databases_stay() -> None:
    roles = [("readWrite", "shop"), ("dbOwner", "shop"), ("own", "shop"), ("own", "admin")]
    assert roles_of(*roles) == roles
    assert roles_of(("readAnyDatabase", "admin")) == [("readAnyDatabase", "admin")]


def test_root_becomes_an_owner() -> None:
    assert roles_of(("root", "admin")) == [
        ("readWriteAnyDatabase", "admin"),
        ("dbAdminAnyDatabase", "admin"),
        ("clusterMonitor", "admin"),
    ]


@pytest.mark.parametrize(
    "role",
    [
        ("userAdminAnyDatabase", "admin"),
        ("userAdmin", "admin"),
        ("dbOwner", "admin"),
        ("backup", "admin"),
        ("restore", "admin"),
        ("clusterAdmin", "admin"),
        ("readWrite", "local"),
        ("readWrite", "config"),
    ],
)
def test_roles_that_reach_beyond_the_data_go(role: tuple[str, str]) -> None:
    assert roles_of(role, ("read", "shop")) == [("read", "shop")]


@pytest.mark.parametrize(
    ("resource", "actions", "remaining"),
    [
        ({"db": "shop", "collection": ""}, ["find", "grantRole"], ["find", "grantRole"]),
        ({"db": "", "collection": ""}, ["find", "grantRole"], ["find"]),
        ({"db": "admin", "collection": "notes"}, ["find", "createUser"], ["find"]),
        ({"db": "admin", "collection": "system.users"}, ["find"], []),
        ({"db": "", "collection": "system.users"}, ["find"], []),
        ({"db": "local", "collection": "oplog.rs"}, ["find", "insert"], []),
        ({"anyResource": True}, ["anyAction"], []),
        ({"cluster": True}, ["shutdown", "serverStatus"], ["serverStatus"]),
    ],
)
def test_privileges(resource: dict[str, Any], actions: list[str], remaining: list[str]) -> None:
    privilege = {"resource": resource, "actions": actions}
    role = {"_id": "shop.r", "role": "r", "db": "shop", "privileges": [privilege], "roles": []}
    limited = limited_role(role)
    assert [each["actions"] for each in limited["privileges"]] == ([remaining] if remaining else [])
