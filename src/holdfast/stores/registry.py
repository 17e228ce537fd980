"""The kinds of stores: a module per line, loaded when first asked for."""

import importlib
from collections.abc import Collection, Mapping
from typing import Protocol, cast, runtime_checkable

from pydantic import BaseModel, ValidationError

from holdfast.contracts.store import ObjectStore
from holdfast.domain.errors import Invalid

STORES: Mapping[str, str] = {
    "local": "holdfast.stores.local.driver",
    "memory": "holdfast.stores.memory.driver",
    "s3": "holdfast.stores.s3.driver",
}


class _Located(Protocol):
    """What every driver's options can say of themselves."""

    def location(self, key: str) -> str: ...


class _Driver(Protocol):
    """What each driver's module has."""

    Options: type[BaseModel]

    def open_store(self, options: BaseModel, /) -> ObjectStore: ...


@runtime_checkable
class _Settling(Protocol):
    """What a driver's module has whose services differ."""

    def settle(self, options: BaseModel, given: Collection[str], /) -> Mapping[str, object]: ...


def open_store(kind: str, options: Mapping[str, object]) -> ObjectStore:
    """A store of this kind; talks to nobody yet. Raises Invalid naming every bad field."""
    driver = _driver(kind)
    return driver.open_store(_parsed(driver, options))


def _parsed(driver: "_Driver", options: Mapping[str, object]) -> BaseModel:
    try:
        return driver.Options.model_validate(dict(options))
    except ValidationError as error:
        raise Invalid("The destination's settings are not valid.", _details(error)) from None


def settle(
    kind: str, options: Mapping[str, object], given: Collection[str]
) -> Mapping[str, object]:
    """The settings that a new store needs and nobody has `given`, found out by asking it. Raises
    Invalid as `open_store` does."""
    driver = _driver(kind)
    if not isinstance(driver, _Settling):
        return {}
    return driver.settle(_parsed(driver, options), given)


def location(kind: str, options: Mapping[str, object], key: str) -> str:
    """Where a key of this store is, as the stock snapshot tool wants to be told."""
    parsed = _driver(kind).Options.model_validate(dict(options))
    return cast("_Located", parsed).location(key)


def options_schema(kind: str) -> Mapping[str, object]:
    """The JSON schema of a kind's settings: the one description of them."""
    return _driver(kind).Options.model_json_schema()


def _driver(kind: str) -> _Driver:
    if kind not in STORES:
        raise Invalid("Unknown kind of destination.", {"type": f"one of {', '.join(STORES)}"})
    return cast("_Driver", importlib.import_module(STORES[kind]))


def _details(error: ValidationError) -> dict[str, str]:
    """Field to sentence, without the values: one of them may be a secret."""
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    return {".".join(map(str, each["loc"])): each["msg"] for each in problems}
