"""The compatibility document's table: each endpoint of the API, and the test that proves it."""

import ast
import re
from collections import Counter
from pathlib import Path

from holdfast.api.app import describe

ROOT = Path(__file__).parents[3]
ROW = re.compile(r"\| (GET|POST|PUT|PATCH|DELETE) \| `(/[^`]*)` \| `([^`:]+)::(\w+)` \|")


def rows() -> list[tuple[str, str, str, str]]:
    """Method, path, file below `tests/`, and the test's name."""
    text = (ROOT / "docs" / "compat" / "northflank.md").read_text()
    section = text.partition("## Every endpoint and the test that proves it")[2]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    found = [ROW.fullmatch(line) for line in lines]
    assert found
    return [match.group(1, 2, 3, 4) for match in found[1:] if match]  # type: ignore[misc]


def test_every_endpoint_has_one_row() -> None:
    documented = Counter((method, path) for method, path, _, _ in rows())
    there = {
        (method.upper(), path)
        for path, operations in describe()["paths"].items()
        for method in operations
    }
    assert there - documented.keys() == set(), "endpoints without a row"
    assert documented.keys() - there == set(), "rows without an endpoint"
    assert {each for each, times in documented.items() if times > 1} == set()


def test_every_named_test_exists() -> None:
    missing = [f"{file}::{name}" for _, _, file, name in rows() if name not in _tests_in(file)]
    assert missing == []


def _tests_in(file: str) -> set[str]:
    tree = ast.parse((ROOT / "tests" / file).read_text())
    return {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}
