"""Connection strings are read strictly, and nothing secret shows."""

import pytest

from holdfast.domain.errors import Invalid
from holdfast.engines.mysql.client.address import option_file, parse, secrets
from holdfast.kit.processes.process import PRIVATE, Command, run
from holdfast.kit.seal import Secret


def test_all_parts_are_read_and_written() -> None:
    text = "mysql://us%40er:p%2Fw@db.example.org:3307/sh%20op?ssl-mode=REQUIRED"
    found = parse(text)
    assert (found.host, found.port, found.user) == ("db.example.org", 3307, "us@er")
    assert (found.password.reveal(), found.database) == ("p/w", "sh op")
    assert found.options == {"ssl-mode": "required"}
    assert parse(secrets(found)["MYSQL_URI"]) == found
    assert parse("mariadb://u@[::1]").port == 3306


@pytest.mark.parametrize(
    "text",
    [
        "",
        "postgresql://u:p@h/d",
        "mysql://",
        "mysql://h/d",
        "mysql://u:p@/d",
        "mysql://u:p@h:99999/d",
        "mysql://u:p@h:0/d",
        "mysql://u:p@h:x/d",
        "mysql://u:p@h1,h2/d",
        "mysql://u:p@h/d?init_command=x",
        "mysql://u:p@h/d?ssl-mode=maybe",
        "mysql://u%0a:p@h/d",
    ],
)
def test_what_is_no_connection_string_is_invalid(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse(text)
    assert "connectionString" in caught.value.details


def test_an_option_file_quotes_what_it_says() -> None:
    text = option_file(parse("mysql://u:%22%5C%0A%23x@h/d")).reveal()
    assert 'password="\\"\\\\\\n#x"' in text


def test_a_child_reads_its_private_file_twice_and_its_name_tells_nothing() -> None:
    command = Command(["cat", PRIVATE, PRIVATE], private=Secret("hidden"))
    assert run(command).stdout == b"hiddenhidden"
    assert "hidden" not in repr(command)
