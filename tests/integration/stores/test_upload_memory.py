"""Memory stays bounded on the whole way to S3, at the largest part sizes too."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.s3 import S3Server

MIB = 1 << 20


@pytest.mark.slow
def test_a_worker_takes_no_more_than_256_mib_above_idle(s3_server: S3Server) -> None:
    settings = s3_server.options(s3_server.bucket(), max_parts=100)  # 128 MiB after 600 MiB
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("upload_memory.py"))],
        input=json.dumps(settings),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["size"] >= 900 * MIB
    assert found["peak"] - found["idle"] <= 256 * MIB
    print(f"above idle: {(found['peak'] - found['idle']) / MIB:.0f} MiB")
