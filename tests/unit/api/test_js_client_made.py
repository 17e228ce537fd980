"""The JavaScript client's generated files are what the API document makes of them."""

import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parents[3] / "tools" / "js_client.py"


def test_what_is_committed_is_what_would_be_written() -> None:
    """Else: `.venv/bin/python tools/js_client.py`."""
    argv = [sys.executable, str(TOOL), "--check"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
