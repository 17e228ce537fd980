"""Counts what makes code hard to read, against budgets that only go down.

`python tools/style.py` prints the counts and fails above a budget; with paths it lists what it
counted in them. Standard library only, as everything in this folder. The rules are those of
CONTRIBUTING.md, the words those of docs/glossary.md.
"""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "holdfast"

VAGUE = re.compile(
    "found|each|what|held|kept|made|place|wanted|given|those|these|here|there|taken|said|told|asked"
    "|gone|known|things?|how|who|whose|where|them|it|stuff|got|had|came|went|seen|done"
)
"""Names of variables and parameters that say nothing of what they hold."""

BANNED = {
    r"\b(?:[Ss]omebody|[Nn]obody|[Ww]hoever)\b": "name who it is: the owner, the caller, a worker",
    r"\b(?:[Vv]aults?|[Hh]ouses?)\b": "a repository, an installation",
    r"\b(?:[Ss]eats?|[Ss]hel(?:f|ves))\b": "a data directory, a store",
    r"\b(?:[Ss]tocktaking|[Cc]ustody)\b": "a store check",
    r"\b[Rr]e(?:wind|fill)\b": "restore in place",
    r"\b(?:tidy|tidying|tidied)\b": "prune",
}
"""Second names of things that have one, as they stand in docstrings, comments and names."""

MAX_SUBJECT = 60
"""Characters of a commit's subject."""
COMMITS = 100
"""The newest, whose subjects are measured."""
FEW_LINES = 25

BUDGETS = {
    "vague variables, % of functions": 2.0,
    "once-called private helpers, % of functions": 8.0,
    "lines with somebody, nobody or whoever": 9,
    "lines with a banned second name": 8,
    "modules in the fullest folder": 14,
    "docstrings that begin with a route's code": 0,
    "files of a few lines with one reader": 5,
    "long subjects among the newest commits": 1,
}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Found = tuple[str, str]
"""Where something was counted, and what it is."""


def sources(paths: list[Path]) -> list[Path]:
    migrations = SOURCE / "catalog" / "migrations"
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*.py"))]
    return sorted(file for file in files if migrations not in file.parents)


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def own_nodes(function: Function) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions inside of it."""
    waiting: list[ast.AST] = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Function):
            waiting.extend(ast.iter_child_nodes(node))


def vague_names(function: Function) -> set[str]:
    names = {
        node.id
        for node in own_nodes(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    names |= {node.arg for node in own_nodes(function) if isinstance(node, ast.arg)}
    return {name for name in names if VAGUE.fullmatch(name)}


def once_called(tree: ast.Module) -> Iterator[Function]:
    """Private functions that only one other place of their file names."""
    uses = Counter(
        node.id if isinstance(node, ast.Name) else node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute)
    )
    for function in functions(tree):
        private = function.name.startswith("_") and not function.name.startswith("__")
        if private and not function.decorator_list and uses[function.name] == 1:
            yield function


def vague(files: list[Path]) -> tuple[list[Found], int]:
    places, total = [], 0
    for file in files:
        for function in functions(ast.parse(file.read_text())):
            total += 1
            if names := vague_names(function):
                place = f"{file.relative_to(ROOT)}:{function.lineno} {function.name}"
                places.append((place, ", ".join(sorted(names))))
    return places, total


def helpers(files: list[Path]) -> list[Found]:
    return [
        (f"{file.relative_to(ROOT)}:{function.lineno} {function.name}", "called once")
        for file in files
        for function in once_called(ast.parse(file.read_text()))
    ]


def matching(files: list[Path], pattern: str, remedy: str) -> list[Found]:
    return [
        (f"{file.relative_to(ROOT)}:{number}", f"{line.strip()[:90]} -> {remedy}")
        for file in files
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if re.search(pattern, line)
    ]


def fullest(files: list[Path]) -> tuple[int, str]:
    folders = Counter(file.parent for file in files if file.name != "__init__.py")
    folder, count = folders.most_common(1)[0]
    return count, str(folder.relative_to(ROOT))


def small_files(files: list[Path]) -> list[Found]:
    """Modules of a few lines that only one other module imports: they are always read together."""
    modules = {
        ".".join(file.relative_to(ROOT / "src").with_suffix("").parts): file for file in files
    }
    importers: dict[str, set[Path]] = {name: set() for name in modules}
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                    importers.get(name, set()).add(file)
    return [
        (str(file.relative_to(ROOT)), "a few lines that one other module reads")
        for name, file in modules.items()
        if file.name != "__init__.py"
        and len(file.read_text().splitlines()) <= FEW_LINES
        and len(importers[name]) == 1
    ]


def long_subjects() -> list[Found]:
    """Of the newest commits: none where there is no history, as in a shallow clone."""
    listed = subprocess.run(
        ["git", "log", "--no-merges", "--format=%h %s", f"-{COMMITS}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    lines = [line.partition(" ") for line in listed.stdout.splitlines()]
    return [(name, subject) for name, _, subject in lines if len(subject) > MAX_SUBJECT]


def main() -> int:
    paths = [Path(word).resolve() for word in sys.argv[1:]]
    files = sources(paths or [SOURCE])
    vague_places, total = vague(files)
    once = helpers(files)
    (riddle, remedy), *banned = BANNED.items()
    persons = matching(files, riddle, remedy)
    second = [place for pattern, word in banned for place in matching(files, pattern, word)]
    tiny = small_files(files)
    routes = matching(files, r'^\s*"""(?:[A-Z]\d+\b.*)', "say the duty, not the route's code")
    if paths:
        for where, why in [*vague_places, *once, *persons, *second, *routes, *tiny]:
            print(f"{where}: {why}")
    count, _ = fullest(files)
    counts = {
        "vague variables, % of functions": 100 * len(vague_places) / total,
        "once-called private helpers, % of functions": 100 * len(once) / total,
        "lines with somebody, nobody or whoever": len(persons),
        "lines with a banned second name": len(second),
        "modules in the fullest folder": count,
        "docstrings that begin with a route's code": len(routes),
        "files of a few lines with one reader": len(tiny),
        "long subjects among the newest commits": len(long_subjects()),
    }
    for name, value in counts.items():
        print(f"{value:8.1f}  {name} (budget {BUDGETS[name]:g})")
    over = [name for name, value in counts.items() if value > BUDGETS[name]]
    return 1 if over and not paths else 0


if __name__ == "__main__":
    sys.exit(main())
