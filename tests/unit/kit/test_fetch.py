"""Which addresses may be fetched from: the public ones, and those an operator named."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from ipaddress import ip_address
from typing import Any

import pytest

from holdfast.domain.errors import Invalid
from holdfast.kit.fetch import (
    NotAllowed,
    NotReachable,
    Rules,
    allowed,
    fetched,
    is_public,
    parse_networks,
    require_url,
)

HERE = parse_networks("127.0.0.1/32")


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "192.0.2.1",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:db8::1",
    ],
)
def test_what_is_not_on_the_internet_is_not_public(text: str) -> None:
    assert not is_public(ip_address(text))
    assert not allowed(ip_address(text), Rules())


@pytest.mark.parametrize("text", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_what_anybody_reaches_is_public(text: str) -> None:
    assert is_public(ip_address(text))


def test_an_operator_can_name_networks() -> None:
    rules = Rules(allowed=parse_networks("10.1.0.0/16, fd00::/8 ,127.0.0.2"))
    assert allowed(ip_address("10.1.255.1"), rules)
    assert allowed(ip_address("fd12::1"), rules)
    assert allowed(ip_address("127.0.0.2"), rules)
    assert not allowed(ip_address("10.2.0.1"), rules)
    assert not allowed(ip_address("127.0.0.1"), rules)
    assert parse_networks("") == ()
    with pytest.raises(Invalid, match="is no network"):
        parse_networks("10.0.0.0/99")


@pytest.mark.parametrize(
    "url",
    ["ftp://a/b", "file:///etc/passwd", "http://", "//a/b", "a", "http://[::1", "http://a:x/",
     "http://a/\r\nX: y", "gopher://a/", "http://a b/"],
)  # fmt: skip
def test_what_cannot_be_fetched_is_no_address(url: str) -> None:
    with pytest.raises(Invalid):
        require_url(url)


@pytest.mark.parametrize("url", ["http://a.example/x.gz", "https://user:pw@[2606::1]:8443/x?a=b"])
def test_http_addresses_are_fine(url: str) -> None:
    require_url(url)


@contextmanager
def answering(*parts: bytes) -> Iterator[str]:
    """The address of a server that says this to whoever comes first, and hangs up."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.settimeout(10)

        def answer() -> None:
            with closing(listener.accept()[0]) as client:
                client.recv(65536)
                for part in parts:
                    client.sendall(part)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"http://files.example:{listener.getsockname()[1]}/dump"
        finally:
            thread.join()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name leads to this machine the first time that it is asked for, and elsewhere later."""
    real, names = socket.getaddrinfo, list[str]()

    def resolve(host: str, port: Any, *more: Any, **named: Any) -> Any:
        if host != "files.example":
            return real(host, port, *more, **named)
        names.append(host)
        return real("127.0.0.1" if len(names) == 1 else "127.0.0.9", port, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return names


def whole(url: str, rules: Rules, *times: float) -> bytes:
    clock = iter(times)
    with fetched(url, rules, lambda: next(clock, 0.0)) as body:
        return b"".join(body.chunks)


def test_the_address_that_was_judged_is_the_one_that_is_asked(asked: list[str]) -> None:
    """A name that changes its mind in between gains nothing."""
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndump") as url:
        assert whole(url, Rules(allowed=HERE)) == b"dump"
    assert asked == ["files.example"], "it was asked for once"


def test_a_file_that_is_announced_as_too_large_is_refused(asked: list[str]) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n"
    with (
        answering(head) as url,
        pytest.raises(NotAllowed, match="the file has 11 bytes; 10 are allowed"),
    ):
        whole(url, Rules(allowed=HERE, max_bytes=10))


def test_a_file_that_says_nothing_and_does_not_end_is_cut_off(asked: list[str]) -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    with (
        answering(head, b"x" * 11) as url,
        pytest.raises(NotAllowed, match="more than 10 bytes"),
    ):
        whole(url, Rules(allowed=HERE, max_bytes=10))


def test_a_file_that_takes_too_long_is_given_up(asked: list[str]) -> None:
    """The second look at the clock is after the first bytes."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
    with (
        answering(head, b"dump") as url,
        pytest.raises(NotReachable, match="took longer than 60 s"),
    ):
        whole(url, Rules(allowed=HERE, max_seconds=60), 0.0, 61.0)
