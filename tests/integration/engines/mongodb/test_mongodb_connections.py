"""Connections to real servers: replies as they are, and failures that say what to do."""

import threading
from dataclasses import replace
from typing import Any

import bson
import pytest

from fixtures.holdfast import await_that, free_port
from fixtures.mongodb import MongoServer, StartMongo
from holdfast.contracts.engine import Address
from holdfast.domain.errors import AddonRefused, AddonUnavailable
from holdfast.engines.mongodb.client import connection as connection_module
from holdfast.engines.mongodb.client import probe
from holdfast.engines.mongodb.client.connection import (
    RawDocument,
    Refusal,
    WireError,
    connect,
    open_connection,
)
from holdfast.engines.mongodb.client.server_errors import error_code, failure
from holdfast.kit.seal import Secret

FAR = {"when": bson.DatetimeMS(253402300800000 * 3)}


def test_documents_come_as_they_are(mongodb: MongoServer) -> None:
    documents = [bson.encode({"_id": number, **FAR}) for number in range(300)]
    with connect(mongodb.address) as connection:
        sent = [RawDocument(document) for document in documents]
        connection.command("shop", {"insert": "orders", "documents": sent})
        command = {"find": "orders", "batchSize": 100, "sort": {"_id": 1}}
        orders = list(connection.documents("shop", command))
        raw = connection.raw_command("shop", {"find": "orders", "limit": 1})
    assert [bson.encode(order) for order in orders] == documents
    assert documents[0] in raw


def test_a_wrong_password_is_named(mongodb: MongoServer) -> None:
    wrong = replace(mongodb.address, password=Secret("wrong"))
    with pytest.raises(AddonRefused, match="password of user root") as caught, connect(wrong) as c:
        c.command("admin", {"ping": 1})
    assert caught.value.facts["reason"] == "password"


def test_no_login_lacks_privileges(mongodb: MongoServer) -> None:
    with (
        pytest.raises(AddonRefused) as caught,
        connect(mongodb.address_of("", "")) as connection,
    ):
        connection.command("shop", {"find": "orders"})
    assert caught.value.facts["reason"] == "privilege"


def test_no_server_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.engines.mongodb.client.connection._CONNECT_SECONDS", 1)
    nothing = Address("127.0.0.1", free_port(), "", Secret(""), "")
    with pytest.raises(AddonUnavailable, match="no answer"), connect(nothing) as connection:
        connection.command("admin", {"ping": 1})


def test_a_command_of_another_thread_is_cut(mongodb: MongoServer) -> None:
    mongodb.client().shop.orders.insert_one({"_id": 1})
    connection = open_connection(mongodb.address, answer_seconds=None)
    errors: list[Exception] = []

    def wait_long() -> None:
        try:
            connection.command("shop", {"find": "orders", "filter": {"$where": "sleep(60000)"}})
        except WireError as error:
            errors.append(error)

    thread = threading.Thread(target=wait_long)
    thread.start()
    watching = mongodb.client()
    await_that(lambda: _running(watching, "holdfast"))
    connection.cut()
    thread.join(20)
    connection.close()
    assert isinstance(failure(errors[0], mongodb.address), AddonUnavailable)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"documents": [{"_id": 2}, {"_id": 1}]}, 11000),
        ({"documents": [{"_id": 3}], "writeConcern": {"w": 2, "wtimeout": 50}}, 100),
    ],
    ids=["a document is refused", "nobody else acknowledges"],
)
def test_a_write_raises_whatever_its_reply_holds(
    mongodb: MongoServer, more: dict[str, object], code: int
) -> None:
    mongodb.client().shop.orders.insert_one({"_id": 1})
    connection = open_connection(mongodb.address)
    with pytest.raises(Refusal) as caught:
        connection.write("shop", {"insert": "orders", **more})
    connection.close()
    assert error_code(caught.value) == code


def test_a_server_gives_up_what_takes_too_long(mongodb: MongoServer) -> None:
    mongodb.client().shop.orders.insert_one({"_id": 1})
    slow = {"find": "orders", "filter": {"$where": "sleep(60000) || true"}}
    with (
        pytest.raises(AddonUnavailable, match=r"time limit|timed out"),
        connect(mongodb.address, answer_seconds=0.5) as connection,
    ):
        connection.command("shop", slow)
    await_that(lambda: not _running(mongodb.client(), "holdfast"))


def _running(client: Any, application: str) -> list[object]:
    pipeline = [{"$currentOp": {}}, {"$match": {"appName": application, "active": True}}]
    return list(client.admin.aggregate(pipeline))


def test_members_of_a_set_are_not_looked_for_beside_the_machine(
    start_mongodb: StartMongo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server may name any host as a member of its set."""
    monkeypatch.setattr(connection_module, "_CONNECT_SECONDS", 1)
    server = start_mongodb("source")
    looked_up: list[str] = []

    def is_local_service_name(host: str) -> bool:
        looked_up.append(host)
        return host == server.host

    for module in (connection_module, probe):
        monkeypatch.setattr(module, "is_local_service_name", is_local_service_name)
    found = replace(server.address, host="localhost", options={"replicaSet": "rs0"})
    with pytest.raises(AddonRefused, match="link-local"):
        probe.probe(found)
    assert looked_up[0] == "localhost"
    assert server.host in looked_up
