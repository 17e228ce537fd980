"""Connection strings: what is taken, what is refused, and that they come out again."""

import pytest

from holdfast.domain.errors import Invalid
from holdfast.engines.redis.client.address import parse, secrets


def test_everything_is_taken_apart() -> None:
    found = parse("redis://us%40er:p%2Fw%20d@db.example.org:7000/3")
    assert (found.host, found.port, found.user, found.database) == (
        "db.example.org",
        7000,
        "us@er",
        "3",
    )
    assert found.password.reveal() == "p/w d"
    assert found.options == {}


def test_what_is_left_out_is_as_redis_has_it() -> None:
    found = parse("redis://:secret@[::1]")
    assert (found.host, found.port, found.user, found.database) == ("::1", 6379, "default", "0")
    assert found.password.reveal() == "secret"


@pytest.mark.parametrize(
    "text",
    [
        "redis://default:@h:6379/0",
        "redis://a:b%20c@[::1]:1/7",
        "rediss://a:b@h:6379/0",
        "rediss://a:b@h:6379/0?ssl_ca_certs=%2Fca.pem",
        "rediss://a:b@h:6379/0?ssl_cert_reqs=none",
        "rediss://a:b@h:6379/0?ssl_ca_certs=%2Fca&ssl_check_hostname=false",
        "rediss://a:b@h:6379/0?ssl_certfile=%2Fc&ssl_keyfile=%2Fk",
    ],
)
def test_secrets_hold_a_string_that_leads_there(text: str) -> None:
    assert secrets(parse(text))["REDIS_MASTER_URL"] == text
    assert parse(secrets(parse(text))["REDIS_MASTER_URL"]) == parse(text)


def test_tls_is_checked_unless_it_says_otherwise() -> None:
    assert parse("rediss://h").options == {"sslmode": "verify-full"}
    assert parse("rediss://h?ssl_check_hostname=False").options == {"sslmode": "verify-ca"}
    assert parse("rediss://h?ssl_cert_reqs=none").options == {"sslmode": "require"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "h:6379",
        "http://h",
        "postgresql://h",
        "redis://",
        "redis://:pw@",
        "redis://h:0x10",
        "redis://h:99999",
        "redis://h/one",
        "redis://h/-1",
        "redis://h?ssl_ca_certs=/x",
        "redis://h?socket_timeout=1",
        "rediss://h?ssl_cert_reqs=optional",
        "rediss://h?ssl_certfile=/only",
        "redis://a%20b:c@h",
        "redis://a%0Ab:c@h",
    ],
)
def test_what_is_no_connection_string_is_invalid(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse(text)
    assert "connectionString" in caught.value.details
