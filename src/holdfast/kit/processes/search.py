"""Matches regular expressions of API callers in a child that can be stopped.

A short expression such as `(a+)+$` can take years, and while it does no other thread of this
process runs. So a child does the matching and is killed when it takes too long.
"""

import json
import sys
from collections.abc import Sequence

from holdfast.domain.errors import Invalid
from holdfast.kit.processes.process import Command, run

_TIMEOUT_SECONDS = 2.0
_MATCHER = """
import json, re, sys
pattern, texts = json.load(sys.stdin)
found = re.compile(pattern)
json.dump([found.search(text) is not None for text in texts], sys.stdout)
"""


def matching(pattern: str, texts: Sequence[str]) -> list[bool]:
    """Which of the texts hold a match. Raises Invalid when that takes too long."""
    if not texts:
        return []
    matcher = Command([sys.executable, "-I", "-c", _MATCHER])
    finished = run(
        matcher, feed=json.dumps([pattern, list(texts)]).encode(), timeout=_TIMEOUT_SECONDS
    )
    if finished.status != 0:
        raise Invalid("the regular expression takes too long", {"regex": "takes too long"})
    return [bool(matches) for matches in json.loads(finished.stdout)]
