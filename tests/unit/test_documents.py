"""What documents name is there: files of the project, and tests in them."""

import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`((?:[\w.-]+/)*\w+\.py)(?:::(\w+))?`")


def test_files_and_tests_that_documents_name_are_there() -> None:
    files = defaultdict[str, list[Path]](list)
    for folder in ("benchmarks", "demo", "src", "tests", "tools"):
        for path in (ROOT / folder).rglob("*.py"):
            if "node_modules" not in path.parts:
                files[path.name].append(path)
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    documents += [*(ROOT / "src").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")]
    missing: list[str] = []
    for document in documents:
        for name, test in NAMED.findall(document.read_text()):
            there = [path for path in files[name.rpartition("/")[2]] if str(path).endswith(name)]
            if not any(not test or f"def {test}(" in path.read_text() for path in there):
                missing.append(f"{document.relative_to(ROOT)}: {name} {test}".strip())
    assert missing == []
