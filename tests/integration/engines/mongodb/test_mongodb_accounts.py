"""Users and roles of a dump on a server that has some: named, sealed, changed, and undone."""

from dataclasses import replace
from typing import Any

import bson
import pytest

from fixtures.mongodb import MongoServer
from fixtures.mongodb_data import can_log_in
from fixtures.mongodb_dumps import TakenMongo, take
from fixtures.postgres import Log, a_guard
from holdfast.contracts.engine import Attempt
from holdfast.domain.errors import RestoreDiffers
from holdfast.engines import staging_names
from holdfast.engines.mongodb.client.connection import connect
from holdfast.engines.mongodb.restore import swap
from holdfast.engines.mongodb.restore.accounts import KeptAccounts
from holdfast.engines.mongodb.restore.staging import Staging
from holdfast.engines.staging_names import OLD


@pytest.fixture
def taken(mongodb: MongoServer) -> TakenMongo:
    """A dump with a clerk, an administrator and a role."""
    client = mongodb.client()
    client.shop.orders.insert_one({"_id": 1})
    client.shop.command("createUser", "anna", pwd="of the dump", roles=["read"])
    client.admin.command("createUser", "chief", pwd="of the dump", roles=["root"])
    client.shop.command("createRole", "clerk", roles=["read"], privileges=[])
    return take(mongodb.address)


def stage(server: MongoServer, taken: TakenMongo, log: Log, **how: bool) -> Attempt:
    attempt = replace(log.attempt("op"), number=1, **how)
    Staging(server.address, taken.dump, attempt, a_guard()).run(taken.fetch)
    return attempt


def kept(client: Any) -> list[tuple[str, dict[str, Any]]]:
    """What a restore keeps in `admin`."""
    return [
        (name, document)
        for name in client.admin.list_collection_names()
        if name.startswith("holdfast_")
        for document in client.admin[name].find()
    ]


def test_accounts_that_change_are_named_before_and_come_back(
    taken: TakenMongo, other_mongodb: MongoServer
) -> None:
    client, log = other_mongodb.client(), Log()
    client.admin.command("createUser", "chief", pwd="of the server", roles=["root"])
    client.admin.command("createUser", "bystander", pwd="b", roles=[])
    client.shop.command("createRole", "clerk", roles=["readWrite"], privileges=[])
    attempt = stage(other_mongodb, taken, log, keep_old=True)
    changing = [line for line in log.lines if "become those of the backup" in line]
    assert [line.rpartition(": ")[2] for line in changing] == ["admin.chief", "shop.clerk"]
    assert can_log_in(client, "chief", "of the server", "admin")
    swap.swap(other_mongodb.address, attempt, a_guard())
    assert can_log_in(client, "chief", "of the dump", "admin")
    assert can_log_in(client, "anna", "of the dump", "shop")
    client.admin.command("updateUser", "bystander", pwd="changed since")
    swap.put_back(other_mongodb.address, "op", log.attempt("undo"), a_guard())
    assert can_log_in(client, "chief", "of the server", "admin")
    assert can_log_in(client, "bystander", "changed since", "admin")
    assert not can_log_in(client, "anna", "of the dump", "shop")
    (clerk,) = client.admin["system.roles"].find()
    assert [role["role"] for role in clerk["roles"]] == ["readWrite"]


def test_what_is_kept_on_the_server_shows_nothing(
    taken: TakenMongo, other_mongodb: MongoServer
) -> None:
    client = other_mongodb.client()
    client.shop.command("createUser", "anna", pwd="of the server", roles=[])
    attempt = stage(other_mongodb, taken, Log(), keep_old=True)
    documents = kept(client)
    swap.swap(other_mongodb.address, attempt, a_guard())
    documents += kept(client)
    assert {name.rpartition("_")[2] for name, _ in documents} == {"book", "roles", "users"}
    assert not any(b"SCRAM" in bson.encode(document) for _, document in documents)
    old = [
        document["_id"]
        for name, document in documents
        if name.startswith(OLD) and name.endswith("users")
    ]
    assert old == ["shop.anna"]


@pytest.mark.parametrize(
    ("collection", "change"),
    [
        *(("users", "another's"), ("users", "another one"), ("book", "another's")),
        *(("book", "none"), ("book", "another one"), ("book", "fewer")),
    ],
)
def test_what_others_changed_is_not_carried_out(
    taken: TakenMongo, other_mongodb: MongoServer, collection: str, change: str
) -> None:
    """Who may write `admin` could make himself an administrator by it."""
    client = other_mongodb.client()
    attempt = stage(other_mongodb, taken, Log())
    entries = client.admin[f"{staging_names.stage_prefix(attempt)}{collection}"]
    one, other = entries.find().sort("_id").limit(2)
    match change:
        case "another's":
            entries.update_one({"_id": one["_id"]}, {"$set": {"sealed": other["sealed"]}})
        case "none":
            entries.update_one({"_id": one["_id"]}, {"$unset": {"sealed": 1}})
        case "another one":
            entries.insert_one({**one, "_id": 7 if collection == "book" else "admin.evil"})
        case _:
            entries.delete_one({"_id": one["_id"]})
    with pytest.raises(RestoreDiffers, match=r"changed by others|missing"):
        swap.swap(other_mongodb.address, attempt, a_guard())
    assert client.list_database_names() == ["admin", "config", "local", "shop"]
    assert "orders" not in client.shop.list_collection_names()


def test_a_user_under_the_name_of_another_is_left_out(other_mongodb: MongoServer) -> None:
    log, client = Log(), other_mongodb.client()
    document = {"_id": "admin.root", "user": "eve", "db": "shop", "roles": []}
    with connect(other_mongodb.address) as connection:
        accounts = KeptAccounts(connection, "holdfast_stage_x_", log.attempt().sealer)
        accounts.keep("system.users", iter([bson.encode(document)]))
        assert accounts.accounts(log.lines.append).users == []
    assert log.lines == [
        "user 'admin.root' is left out: it is stored under the name of another one"
    ]
    client.admin.drop_collection("holdfast_stage_x_users")
