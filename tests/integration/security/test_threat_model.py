"""The threat model names tests; each of them is there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "threat-model.md").read_text()


def test_every_test_that_the_threat_model_names_exists() -> None:
    named = set(re.findall(r"`([a-z_/0-9]+\.py)(?:::(\w+))?`", TEXT))
    assert len(named) > 50
    missing = []
    for file, function in sorted(named):
        path = ROOT / "tests" / file
        tree = ast.parse(path.read_text()) if path.is_file() else ast.Module([], [])
        there = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        if not path.is_file() or (function and function not in there):
            missing.append(f"{file}::{function}")
    assert missing == []


def test_a_line_without_a_test_says_that_it_is_open() -> None:
    rows = [line for line in TEXT.partition("## Without a token")[2].splitlines() if "|" in line]
    untested = [row for row in rows if row.endswith(("|  |", "| |"))]
    assert untested
    assert all("**" in row for row in untested)
