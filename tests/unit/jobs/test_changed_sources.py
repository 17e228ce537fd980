"""A server whose collections are replaced while it is read is read anew, but not for ever."""

from types import SimpleNamespace
from typing import Any

import pytest

from holdfast.domain.errors import SourceChanged
from holdfast.jobs.dumps import backup
from holdfast.jobs.dumps.backup import BackupRecord


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(backup, "_backup", lambda _: SimpleNamespace())
    monkeypatch.setattr(backup, "_names", lambda *_: ("project", "addon", "uid"))
    monkeypatch.setattr(backup, "_target", lambda *_: SimpleNamespace(prefix="p"))
    return []


@pytest.mark.parametrize("changes", [0, 1, 3, 4])
def test_it_is_read_again_a_few_times(
    said: list[str], monkeypatch: pytest.MonkeyPatch, changes: int
) -> None:
    readings = 0

    def copied(_: Any, record: BackupRecord, *__: Any) -> BackupRecord:
        nonlocal readings
        readings += 1
        if readings <= changes:
            raise SourceChanged("collection shop.stock was replaced")
        return record

    monkeypatch.setattr(backup, "_copied", copied)
    job: Any = SimpleNamespace(
        say=said.append, guard=SimpleNamespace(), dispatch=SimpleNamespace(fence=1)
    )
    if changes > 3:
        with pytest.raises(SourceChanged, match=r"shop\.stock"):
            backup.copy(job, BackupRecord())
        assert readings == 4
    else:
        assert backup.copy(job, BackupRecord()) == BackupRecord()
        assert readings == changes + 1
    assert len(said) == min(changes, 3)
