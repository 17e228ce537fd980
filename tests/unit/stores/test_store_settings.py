"""Settings of stores: what is accepted, how it is understood, and that no secret shows."""

import pytest

from holdfast.domain.errors import Invalid
from holdfast.stores.keys import checked_clearing, checked_key, checked_prefix
from holdfast.stores.registry import STORES, open_store, options_schema
from holdfast.stores.s3.options import Options

GOOD: dict[str, object] = {
    "access_key": "AKIDEXAMPLE",
    "secret_key": "very-secret-indeed",
    "bucket_name": "backups",
}


def options(**more: object) -> Options:
    return Options.model_validate({**GOOD, **more})


@pytest.mark.parametrize(
    ("endpoint", "url", "style"),
    [
        ("", None, "auto"),
        ("s3.us-west-2.amazonaws.com", "https://s3.us-west-2.amazonaws.com", "auto"),
        ("s3.cn-north-1.amazonaws.com.cn", "https://s3.cn-north-1.amazonaws.com.cn", "auto"),
        ("minio.example.com:9000", "https://minio.example.com:9000", "path"),
        ("http://127.0.0.1:9000/", "http://127.0.0.1:9000", "path"),
        ("https://notamazonaws.com", "https://notamazonaws.com", "path"),
    ],
)
def test_endpoints_with_and_without_a_scheme(endpoint: str, url: str | None, style: str) -> None:
    assert options(endpoint=endpoint).endpoint_url == url
    assert options(endpoint=endpoint).addressing_style == style


def test_addressing_can_be_chosen() -> None:
    assert options(endpoint="x.example", addressing="virtual").addressing_style == "virtual"
    assert options(addressing="path").addressing_style == "path"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bucket_name", "a b"),
        ("bucket_name", "x"),
        ("prefix", "no-slash"),
        ("prefix", "../"),
        ("prefix", "/"),
        ("endpoint", "ftp://host"),
        ("endpoint", "https://user:pw@host"),
        ("endpoint", "https://"),
        ("endpoint", "http://a..b"),
        ("endpoint", "-"),
        ("endpoint", "[::::]"),
        ("addressing", "other"),
        ("checksum", "crc64"),
        ("max_parts", 10_001),
        ("max_parts", 99),
        ("region", "eu west"),
        ("region", "0"),
        ("region", "-eu"),
        ("region", "e" * 64),
        ("unknown", 1),
    ],
)
def test_a_bad_setting_is_named(field: str, value: object) -> None:
    with pytest.raises(Invalid) as caught:
        open_store("s3", {**GOOD, field: value})

    assert list(caught.value.details) == [field]


def test_every_bad_setting_is_named_and_no_value_shown() -> None:
    with pytest.raises(Invalid) as caught:
        open_store("s3", {"access_key": "a", "secret_key": ["very-secret-indeed"], "prefix": "x"})

    assert set(caught.value.details) == {"secret_key", "bucket_name", "prefix"}
    assert "very-secret-indeed" not in repr(caught.value.details) + str(caught.value)


def test_secrets_do_not_show() -> None:
    shown = repr(options()) + options().model_dump_json() + str(options().model_dump())

    assert "very-secret-indeed" not in shown
    assert "AKIDEXAMPLE" not in shown


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(Invalid) as caught:
        open_store("ftp", {})

    assert caught.value.details == {"type": "one of local, memory, s3"}


@pytest.mark.parametrize("kind", sorted(STORES))
def test_every_kind_describes_its_settings(kind: str) -> None:
    properties = options_schema(kind)["properties"]

    assert isinstance(properties, dict)
    assert all("description" in each for each in properties.values())


def test_a_relative_directory_is_refused() -> None:
    with pytest.raises(Invalid, match="not valid") as caught:
        open_store("local", {"directory": "here"})
    assert "absolute" in caught.value.details["directory"]


@pytest.mark.parametrize("key", ["a", "a/b.zst", "dumps/p-1/_x/..."[:-3] + "y", "A.b_c-d/1"])
def test_good_keys(key: str) -> None:
    assert checked_key(key) == key
    assert checked_prefix(f"{key}/") == f"{key}/"


@pytest.mark.parametrize("key", ["", ".", "..", "a/./b", "a/..", "a..b", "/a", "a//b", "a\n", "ä"])
def test_bad_keys(key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        checked_key(key)


def test_clearing_everything_is_refused() -> None:
    with pytest.raises(ValueError, match="whole store"):
        checked_clearing("")
