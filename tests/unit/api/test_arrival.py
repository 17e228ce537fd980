"""Who is believed about an address, and which names of requests are taken over."""

import asyncio
from typing import Any

import pytest

from holdfast.http.arrival import Arrival
from holdfast.kit.clock import SystemClock
from holdfast.kit.fetch import parse_networks


def arrived(
    headers: dict[str, str], *, client: str = "10.0.0.1", trusted: str = "10.0.0.0/8, fd00::/8"
) -> tuple[dict[str, Any], dict[bytes, bytes]]:
    """The scope that the application gets, and the headers of its answer."""
    seen: list[dict[str, Any]] = []
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nobody asks for a body")

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "headers": raw,
        "client": (client, 1),
        "scheme": "http",
    }
    door = Arrival(app, parse_networks(trusted), SystemClock())
    asyncio.run(door(scope, receive, send))
    return seen[0], dict(sent[0]["headers"])


@pytest.mark.parametrize("given", ["abc", "01J9-xyz.42", "a" * 64, "trace:7"])
def test_a_short_and_harmless_name_is_kept(given: str) -> None:
    scope, answer = arrived({"x-request-id": given})
    assert scope["state"]["request_id"] == given
    assert answer[b"x-request-id"] == given.encode()


@pytest.mark.parametrize("given", ["", "a" * 65, "a b", "a\tb", "<script>", "-x", "ä", "a;b=c"])
def test_another_one_is_replaced(given: str) -> None:
    scope, answer = arrived({"x-request-id": given})
    assert len(scope["state"]["request_id"]) == 24
    assert answer[b"x-request-id"].decode() == scope["state"]["request_id"] != given


@pytest.mark.parametrize(
    ("forwarded", "client", "address"),
    [
        ("203.0.113.9", "10.0.0.1", "203.0.113.9"),
        ("203.0.113.9", "192.0.2.1", "192.0.2.1"),  # not through a proxy of ours
        ("198.51.100.1, 203.0.113.9", "10.0.0.1", "203.0.113.9"),  # the first is made up
        ("203.0.113.9, 10.0.0.7", "10.0.0.1", "203.0.113.9"),  # two proxies of ours
        ("10.0.0.9, 10.0.0.7", "10.0.0.1", "10.0.0.9"),  # asked by a proxy's own machine
        ("nonsense", "10.0.0.1", "10.0.0.1"),
        ("203.0.113.9, nonsense", "10.0.0.1", "10.0.0.1"),
        ("203.0.113.9:4711", "10.0.0.1", "203.0.113.9"),
        ("[2001:db8::1]:4711", "fd00::1", "2001:db8::1"),
        ("2001:db8::1", "fd00::1", "2001:db8::1"),
        ("", "10.0.0.1", "10.0.0.1"),
    ],
)
def test_forwarded_addresses_are_believed_of_trusted_proxies_alone(
    forwarded: str, client: str, address: str
) -> None:
    scope, _ = arrived({"x-forwarded-for": forwarded}, client=client)
    assert scope["client"][0] == address


def test_without_trusted_proxies_nobody_is_believed() -> None:
    headers = {"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https"}
    scope, _ = arrived(headers, client="127.0.0.1", trusted="")
    assert (scope["client"][0], scope["scheme"]) == ("127.0.0.1", "http")


@pytest.mark.parametrize(
    ("proto", "scheme"), [("https", "https"), ("HTTP", "http"), ("gopher", "http")]
)
def test_a_trusted_proxy_says_how_it_was_asked(proto: str, scheme: str) -> None:
    assert arrived({"x-forwarded-proto": proto})[0]["scheme"] == scheme
