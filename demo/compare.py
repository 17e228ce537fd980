"""Are two servers equal? Each is fingerprinted by itself, then the fingerprints are compared.

The server hashes every row and sums the hashes, so the order of rows does not matter and nothing
of them leaves it; definitions, grants and roles are compared as the server prints them.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from demo.fill import Address
from demo.fingerprint import Fingerprint, differences, fingerprint
from holdfast.engines.postgresql.client import address as postgresql

_PER_SERVER = ("roles", "memberships")


@dataclass(frozen=True)
class Kind:
    """One kind of thing: how many each side has, and each difference in words."""

    name: str
    source: int
    restored: int
    differences: list[str]


def fingerprints(*servers: Address) -> list[Fingerprint]:
    """Of all servers, side by side."""
    parsed = [postgresql.parse(server.uri) for server in servers]
    with ThreadPoolExecutor(len(parsed)) as pool:
        return list(pool.map(fingerprint, parsed))


def compare(source: Fingerprint, restored: Fingerprint) -> list[Kind]:
    left, right = source["databases"], restored["databases"]
    names = dict.fromkeys((*left, *right))
    kinds = [Kind("databases", len(left), len(right), _missing(left, right))]
    rows = [sum(count for count, _ in _all(side, "rows").values()) for side in (left, right)]
    kinds += [_kind("tables", _all(left, "rows"), _all(right, "rows"))]
    kinds += [Kind("rows", rows[0], rows[1], kinds[-1].differences)]
    inside = {kind: None for name in names for kind in (*left.get(name, {}), *right.get(name, {}))}
    kinds += [_kind(kind, _all(left, kind), _all(right, kind)) for kind in inside if kind != "rows"]
    return kinds + [_kind(kind, source[kind], restored[kind]) for kind in _PER_SERVER]


def all_differences(kinds: list[Kind]) -> list[str]:
    found = (f"{kind.name}: {each}" for kind in kinds for each in kind.differences)
    return list(dict.fromkeys(each for each in found if not each.startswith("rows: ")))


def _kind(name: str, left: Mapping[str, Any], right: Mapping[str, Any]) -> Kind:
    return Kind(name, len(left), len(right), differences(left, right))


def _missing(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[str]:
    return [f"{name} is only on one side" for name in sorted({*left} ^ {*right})]


def _all(databases: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return dict(_entries(databases, kind))


def _entries(databases: Mapping[str, Any], kind: str) -> Iterator[tuple[str, Any]]:
    for name, content in databases.items():
        for key, value in content.get(kind, {}).items():
            yield f"{name} {key}", value
