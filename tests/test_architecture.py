"""The budgets and promises of the architecture, measured: sizes, shapes, registries, codes."""

import ast
import importlib
import inspect
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles

import pytest

import holdfast
from holdfast.bootstrap import PLANS
from holdfast.cli.machine.local import LOCAL
from holdfast.domain import errors
from holdfast.domain.errors import Failure
from holdfast.domain.operation import MAX_ATTEMPTS, MOVES, OVER, PRIORITY, Kind, Status
from holdfast.engines.registry import ENGINES
from holdfast.stores.registry import STORES

ROOT = Path(holdfast.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
TREES = {path: ast.parse(path.read_text()) for path in FILES}
MIGRATIONS = ROOT / "catalog" / "migrations"  # data tables
REGISTRIES = {
    ROOT / place for place in ("channels/registry.py", "engines/registry.py", "stores/registry.py")
}
REGISTRIES |= {ROOT / "cli/machine/local.py", ROOT / "bootstrap/tracing.py"}
VENDORS = {ROOT / "stores/s3/client.py"}  # the type of what a library hands out untyped

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path, node: Function | ast.ClassDef) -> str:
    return f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"


def functions() -> Iterator[tuple[Path, Function]]:
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, Function):
                yield path, node


def body_lines(node: Function) -> int:
    """Lines of code: without the signature and the docstring."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0  # type: ignore[operator]


def p90(values: list[int]) -> float:
    return quantiles(values, n=10)[8]


def test_files_are_short() -> None:
    sizes = {path: len(path.read_text().splitlines()) for path in FILES}
    longest = {str(path): size for path, size in sizes.items() if size > 400}
    assert longest == {}
    assert median(sizes.values()) <= 120
    assert p90(list(sizes.values())) <= 250


def test_functions_are_short() -> None:
    found = [
        (name_of(path, node), body_lines(node))
        for path, node in functions()
        if MIGRATIONS not in path.parents
    ]
    assert [name for name, size in found if size > 50] == []
    assert median(size for _, size in found) <= 8
    assert p90([size for _, size in found]) <= 25


def is_command(node: Function) -> bool:
    """Every default of a Typer command is an option of the command line."""
    return any("Option" in ast.dump(each) for each in (node.args, *node.decorator_list))


def test_functions_take_few_arguments() -> None:
    crowded = []
    for path, node in functions():
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        count = len([each for each in given if each.arg not in ("self", "cls")])
        if count > 7 and not is_command(node):
            crowded.append(name_of(path, node))
    assert crowded == []


def test_private_methods_are_called_by_their_class_or_its_bases() -> None:
    """An override of a method that its base has no longer does nothing, and nothing says so."""
    classes: dict[str, list[tuple[Path, ast.ClassDef]]] = {}
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                classes.setdefault(node.name, []).append((path, node))
    named = {
        path: {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        for path, tree in TREES.items()
    }

    def files(path: Path, node: ast.ClassDef) -> set[Path]:
        bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
        above = [known for base in bases for known in classes.get(base, ()) if known[1] is not node]
        return {path}.union(*(files(*known) for known in above))

    dead = [
        f"{name_of(path, node)}.{method.name}"
        for alike in classes.values()
        for path, node in alike
        for method in node.body
        if isinstance(method, Function)
        and method.name.startswith("_")
        and not method.name.startswith("__")
        and not method.decorator_list  # validators are called by their model
        and not any(method.name in named[file] for file in files(path, node))
    ]
    assert dead == []


def test_protocols_are_narrow() -> None:
    wide = []
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and any(
                "Protocol" in ast.dump(b) for b in node.bases
            ):
                methods = [each for each in node.body if isinstance(each, Function)]
                if len(methods) > 6 and path not in VENDORS:
                    wide.append(name_of(path, node))
    assert wide == []


def test_only_registries_import_inside_functions() -> None:
    hidden = [
        name_of(path, node)
        for path, node in functions()
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
        or (isinstance(inner, ast.Attribute) and inner.attr == "import_module")
        if path not in REGISTRIES
    ]
    assert hidden == []


def test_nothing_is_imported_for_types_alone() -> None:
    assert [str(path) for path in FILES if "TYPE_CHECKING" in path.read_text()] == []


def test_every_module_says_its_duty_first() -> None:
    silent = [str(path) for path, tree in TREES.items() if not ast.get_docstring(tree)]
    assert silent == []


def test_imports_are_absolute() -> None:
    relative = [
        str(path)
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


@pytest.mark.parametrize("module", sorted({*ENGINES.values(), *STORES.values(), *LOCAL.values()}))
def test_what_registries_name_is_there(module: str) -> None:
    assert importlib.import_module(module)


def failures() -> list[type[Failure]]:
    found = [each for _, each in inspect.getmembers(errors, inspect.isclass)]
    return [each for each in found if issubclass(each, Failure)]


def test_every_failure_has_a_sentence_and_a_code_of_its_own() -> None:
    codes = [each.code for each in failures()]
    assert len(codes) == len(set(codes)) > 20
    for each in failures():
        sentence = (each.__dict__.get("__doc__") or "").strip().splitlines()[0]
        assert sentence.endswith("."), each
        assert "code" in each.__dict__, f"{each} borrows its parent's code"
        assert each().message == sentence


def test_every_status_can_be_reached_and_left_or_is_an_end() -> None:
    assert MOVES.keys() == set(Status)
    reached = {Status.SCHEDULED}
    while (more := reached | {new for old in reached for new in MOVES[old]}) != reached:
        reached = more
    assert reached == set(Status)
    assert {s for s in Status if not MOVES[s]} == OVER


def test_every_kind_of_work_has_a_priority_and_a_plan() -> None:
    plans = PLANS
    assert plans.keys() == PRIORITY.keys() == set(Kind)
    assert MAX_ATTEMPTS >= 1
    for plan in plans.values():
        names = [step.name for step in plan.steps]
        assert names
        assert all(one != other for one, other in pairwise(sorted(names))), "a name twice"


def test_no_line_of_the_log_loses_its_words() -> None:
    """What is logged besides takes the place of these where it has their names."""
    reserved = {"event", "level", "logger", "timestamp"}
    clashes = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        and any(isinstance(key, ast.Constant) and key.value in reserved for key in node.keys)
        and "extra" in path.read_text().splitlines()[node.lineno - 1]
    ]
    assert clashes == []
