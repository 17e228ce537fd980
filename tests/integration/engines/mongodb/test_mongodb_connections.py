"""Connections to real servers: replies as they are, and failures that say what to do."""

import threading
from dataclasses import replace

import bson
import pytest

from fixtures.holdfast import await_that, free_port
from fixtures.mongodb import MongoServer
from holdfast.contracts.engine import Address
from holdfast.domain.errors import AddonRefused, AddonUnavailable
from holdfast.engines.mongodb.client.connection import (
    RawDocument,
    WireError,
    connect,
    open_connection,
)
from holdfast.engines.mongodb.client.server_errors import failure
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
    waiting = mongodb.client()
    pipeline = [{"$currentOp": {}}, {"$match": {"appName": "holdfast", "active": True}}]
    await_that(lambda: list(waiting.admin.aggregate([*pipeline])))
    connection.cut()
    thread.join(20)
    connection.close()
    assert isinstance(failure(errors[0], mongodb.address), AddonUnavailable)
