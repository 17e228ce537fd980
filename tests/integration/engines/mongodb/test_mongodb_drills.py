"""Drills: assertions that only read, and a server that checks its own data."""

import json
from typing import Any

import pytest

from fixtures.mongodb import MongoServer
from fixtures.postgres import a_guard
from holdfast.contracts.drills import Assertion
from holdfast.domain.evidence import Check
from holdfast.engines.mongodb.client.connection import Connection
from holdfast.engines.mongodb.drills.assertions import ASKER, assert_true
from holdfast.engines.mongodb.drills.self_checks import check_data


@pytest.fixture
def shop(mongodb: MongoServer) -> MongoServer:
    orders = mongodb.client().shop.orders
    orders.insert_many([{"_id": number, "paid": number % 2 == 0} for number in range(100)])
    orders.create_index("paid")
    return mongodb


def ask(server: MongoServer, text: Any, seconds: float = 20) -> Check:
    text = text if isinstance(text, str) else json.dumps(text)
    question = Assertion("orders", text, seconds, "shop")
    check = assert_true(server.address, question, a_guard())
    users = server.client().admin.command("usersInfo")["users"]
    assert ASKER not in [user["user"] for user in users]
    return check


@pytest.mark.parametrize(
    ("text", "passed", "answer"),
    [
        ({"count": "orders", "query": {"paid": True}}, True, "50"),
        ({"count": "orders", "query": {"paid": 3}}, False, "0"),
        ({"find": "orders", "filter": {"_id": 4}}, True, "True"),
        ({"find": "orders", "filter": {"_id": 400}}, False, "no row"),
        ({"distinct": "orders", "key": "_id"}, False, "0"),
        ({"distinct": "nothing", "key": "_id"}, False, "no value"),
        (
            {
                "aggregate": "orders",
                "pipeline": [
                    {"$group": {"_id": None, "n": {"$sum": 1}}},
                    {"$project": {"enough": {"$gte": ["$n", 100]}}},
                ],
            },
            True,
            "True",
        ),
    ],
)
def test_the_first_value_decides(shop: MongoServer, text: Any, passed: bool, answer: str) -> None:
    check = ask(shop, text)
    assert check.passed == passed
    assert answer in check.found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SELECT 1", "no valid statement: it is no Extended JSON"),
        ("[]", "several things"),
        ("{}", "no document"),
        ({"insert": "orders", "documents": []}, "it writes"),
        ({"aggregate": "orders", "pipeline": [{"$out": "x"}]}, "it writes"),
        ({"aggregate": "orders", "pipeline": [{"$merge": "x"}]}, "it writes"),
        ({"find": "orders", "filter": {"$where": "true"}}, "JavaScript"),
        ({"find": "orders", "filter": {"a": {"$code": "true"}}}, "JavaScript"),
        (
            {"aggregate": "orders", "pipeline": [{"$project": {"x": {"$function": {}}}}]},
            "JavaScript",
        ),
        ({"mapReduce": "orders"}, "one of find, aggregate"),
        ({"shutdown": 1}, "one of find, aggregate"),
        ({"find": "orders", "maxTimeMS": 0}, "not the assertion's to set"),
        ({"find": "orders", "filter": {"$nonsense": 1}}, "no valid statement"),
        ({"find": "system.users"}, "beyond the data"),
        (
            {
                "aggregate": "orders",
                "pipeline": [{"$unionWith": {"coll": "system.profile"}}],
            },
            "beyond the data",
        ),
    ],
)
def test_what_does_more_than_read_is_stopped(shop: MongoServer, text: Any, words: str) -> None:
    check = ask(shop, text)
    assert not check.passed
    assert words in check.found


def test_what_takes_too_long_is_stopped(shop: MongoServer) -> None:
    cross: dict[str, Any] = {"$lookup": {"from": "orders", "pipeline": [], "as": "all"}}
    pipeline = [step for _ in range(5) for step in (cross, {"$unwind": "$all"})]
    check = ask(shop, {"aggregate": "orders", "pipeline": [*pipeline, {"$count": "n"}]}, 0.3)
    assert not check.passed
    assert "longer than 0.3 seconds" in check.found


def test_every_collection_is_validated(shop: MongoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    client = shop.client()
    client.shop.create_collection("points", timeseries={"timeField": "t"})
    client.shop.create_collection("view", viewOn="orders", pipeline=[])
    assert [(check.name, check.passed, check.found) for check in _checked(shop)] == [
        ("validate of shop", True, "2 collections with 100 documents checked")
    ]
    command = Connection.command

    def damaged(self: Any, database: str, request: Any, *more: Any) -> Any:
        reply = command(self, database, request, *more)
        if request.get("validate") == "orders":
            return {**reply, "valid": False, "errors": ["it is torn"]}
        return reply

    monkeypatch.setattr(Connection, "command", damaged)
    (check,) = _checked(shop)
    assert not check.passed
    assert check.found.startswith("damaged: collection orders: it is torn; 2 collections")


def _checked(server: MongoServer) -> list[Check]:
    return list(check_data(server.address, a_guard()))
