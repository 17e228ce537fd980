"""An entry as it is shown."""

from holdfast.catalog.schema import AuditEntry
from holdfast.views.audit import view


def test_no_null_is_shown_however_deep() -> None:
    destinations = [{"destination": 1, "retention": None}, {"destination": 2, "retention": 7}]
    entry = AuditEntry(
        pk=1, at=0, request="r", address="a", token="t", actor="n", role="o", action="create",
        kind="schedule", object="s", before=None, after={"additional": destinations, "day": []},
    )  # fmt: skip
    shown = view(entry)
    assert shown.before is None
    assert shown.after == {
        "additional": [{"destination": 1}, {"destination": 2, "retention": 7}],
        "day": [],
    }
