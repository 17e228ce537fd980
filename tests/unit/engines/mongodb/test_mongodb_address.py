"""Connection strings of MongoDB: what is read, what is refused, and what is written again."""

from typing import Any

import pytest

from holdfast.domain.errors import Invalid
from holdfast.engines.mongodb.client.address import endpoints, is_direct, parse, secrets


def test_everything_is_read() -> None:
    address = parse(
        "mongodb://us%40er:p%2Fw%3A%40@One:27018,two,[::1]:5/shop"
        "?authSource=users&replicaSet=rs0&tls=true&tlsCAFile=/ca.pem&retryWrites=true&w=majority"
    )
    assert (address.host, address.port, address.database) == ("one", 27018, "shop")
    assert (address.user, address.password.reveal()) == ("us@er", "p/w:@")
    assert dict(address.options) == {
        "authSource": "users",
        "hosts": "two:27017,[::1]:5",
        "replicaSet": "rs0",
        "sslmode": "verify-full",
        "tlsCAFile": "/ca.pem",
    }
    assert list(endpoints(address)) == ["one:27018", "two:27017", "[::1]:5"]


def test_names_of_options_have_no_case() -> None:
    options = parse("mongodb://h/?REPLICASET=a&TlS=true&tlsallowinvalidhostnames=TRUE").options
    assert options == {"replicaSet": "a", "sslmode": "verify-ca"}


def test_srv_is_not_resolved_while_it_is_read() -> None:
    address = parse("mongodb+srv://u:p@cluster.example.invalid/shop?retryWrites=true")
    assert dict(address.options) == {"srv": "true", "sslmode": "verify-full"}
    assert not is_direct(address)
    assert parse("mongodb+srv://u:p@c.example.invalid/?tls=false").options["tls"] == "false"


@pytest.mark.parametrize(
    ("text", "direct"),
    [
        ("mongodb://h/", True),
        ("mongodb://h/?replicaSet=a", False),
        ("mongodb://h,i/", False),
        ("mongodb://h/?directConnection=false", False),
        ("mongodb://h/?replicaSet=a&directConnection=true", True),
    ],
)
def test_one_host_alone_is_spoken_to_directly(text: str, direct: bool) -> None:
    assert is_direct(parse(text)) == direct


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("postgresql://u:p@h/d", "must start with"),
        ("mongodb://", "names no host"),
        ("mongodb://u:p@/d", "names no host"),
        ("mongodb://u@h/d", "without a password"),
        ("mongodb://h:99999/", "port"),
        ("mongodb://h:x/", "port"),
        ("mongodb://%2Ftmp%2Fm.sock/", "not a socket"),
        ("mongodb://h,%2Ftmp%2Fm.sock/", "not a socket"),
        ("mongodb+srv://h:27017/", "without a port"),
        ("mongodb+srv://a,b/", "one host"),
        ("mongodb://a,b/?directConnection=true", "exactly one host"),
        ("mongodb://h/?authMechanism=MONGODB-X509", "authMechanism"),
        ("mongodb://h/?tlsCertificateKeyFilePassword=x", "tlsCertificateKeyFilePassword"),
        ("mongodb://h/?tlsCAFile=/x", "tls=true"),
        ("mongodb://h/?tls=perhaps", "`true` or `false`"),
        ("mongodb://h/?proxyHost=x", "proxyHost"),
        ("mongodb://u:p%00@h/", "characters"),
    ],
)
def test_what_cannot_be_used_is_refused(text: str, problem: str) -> None:
    with pytest.raises(Invalid, match=problem) as caught:
        parse(text)
    assert "connectionString" in caught.value.details
    assert "p%00" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "mongodb://u:p%2F@h:1,i:2/shop?authSource=admin&replicaSet=rs0",
        "mongodb://u:p@h:27017/shop?tls=true&tlsCAFile=%2Fca.pem&tlsAllowInvalidHostnames=true",
        "mongodb://u:p@h:27017/?tls=true&tlsInsecure=true",
        "mongodb+srv://u:p@cluster.example.invalid/shop?authSource=users",
        "mongodb+srv://u:p@cluster.example.invalid/?tls=false",
        "mongodb://[::1]:27017/",
    ],
)
def test_what_is_written_says_the_same(text: str) -> None:
    address = parse(text)
    again = parse(secrets(address)["MONGO_SRV"])
    assert _comparable(again) == _comparable(address)


def _comparable(address: Any) -> Any:
    options = {"authSource": "admin", **address.options}
    options.pop("directConnection", None)
    login = (address.user, address.password.reveal())
    return address.host, address.port, address.database, login, options
