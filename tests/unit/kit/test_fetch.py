"""Which addresses may be fetched from: the public ones, and those an operator named."""

from ipaddress import ip_address

import pytest

from holdfast.domain.errors import Invalid
from holdfast.kit.fetch import Rules, allowed, is_public, parse_networks, require_url


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
