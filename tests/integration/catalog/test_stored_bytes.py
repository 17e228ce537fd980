"""The count of stored bytes: pages do not wait for it."""

import threading
from typing import Any

import pytest

from fixtures.in_process_installation import InProcessInstallation
from holdfast.views.metrics import stored
from holdfast.views.metrics.stored import StoredBytes

pytestmark = pytest.mark.sqlite_first


def test_a_page_does_not_wait_for_a_long_count(
    installation: InProcessInstallation, addon_pk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.backup(addon_pk)
    goes_on, count = threading.Event(), stored.count

    def count_long(session: Any, now: int) -> Any:
        goes_on.wait()
        return count(session, now)

    monkeypatch.setattr(stored, "count", count_long)
    numbers = StoredBytes(installation.clock)
    assert numbers.recent(installation.catalog) is None
    goes_on.set()
    looks = (numbers.recent(installation.catalog) for _ in range(1000))
    rows = next(filter(None, looks), [])
    assert [(row.addon_pk, row.store, row.copies) for row in rows] == [(addon_pk, "platform", 1)]
