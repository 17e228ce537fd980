"""Sealed pieces open with the stock programs, and with nothing but their identity."""

import os
import subprocess
from pathlib import Path

import pytest

from holdfast.domain.errors import EvidenceMissing, SealBroken
from holdfast.pipeline import age

SIZES = (0, 1, 65_535, 65_536, 65_537, 3_000_000)


@pytest.mark.parametrize("size", SIZES)
def test_opens_with_age_and_zstd(tmp_path: Path, size: int) -> None:
    identity, recipient = age.new_identity()
    plain = os.urandom(size)
    (tmp_path / "key").write_text(identity)
    (tmp_path / "piece.zst.age").write_bytes(age.seal(plain, recipient))
    line = "age -d -i key piece.zst.age | zstd -dq"
    opened = subprocess.run(["sh", "-c", line], cwd=tmp_path, check=True, capture_output=True)
    assert opened.stdout == plain
    assert age.unseal((tmp_path / "piece.zst.age").read_bytes(), identity, size) == plain


def test_says_what_is_wrong() -> None:
    identity, recipient = age.new_identity()
    sealed = age.seal(b"x" * 1000, recipient)
    with pytest.raises(SealBroken):
        age.unseal(sealed, age.new_identity()[0], 1000)
    with pytest.raises(SealBroken):
        age.unseal(sealed[:-1] + bytes([sealed[-1] ^ 1]), identity, 1000)
    with pytest.raises(EvidenceMissing):
        age.unseal(sealed, identity, 999)
    with pytest.raises(SealBroken):
        age.seal(b"", "age1nonsense")
    assert b"xxxx" not in sealed
