"""Every setting has its row in docs/settings.md, with its default and what it is for."""

from pathlib import Path

import pytest

from holdfast.domain.errors import Invalid
from holdfast.settings import Settings, load

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"


def test_every_setting_is_described() -> None:
    page = PAGE.read_text()
    missing = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default in ("", None) else f"`{field.default}`"
        row = f"| `HOLDFAST_{name.upper()}` | {default} | {field.description} |"
        if row not in page:
            missing.append(row)
    assert missing == []


def test_no_setting_is_described_that_there_is_not() -> None:
    names = {f"HOLDFAST_{name.upper()}" for name in Settings.model_fields}
    described = {
        line.split("`")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `HOLD")
    }
    assert described == names


def test_a_variable_that_is_no_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_RETENTION_DALY", "90")
    with pytest.raises(Invalid, match="HOLDFAST_RETENTION_DAILY") as caught:
        load({})
    assert list(caught.value.details) == ["HOLDFAST_RETENTION_DALY"]


def test_variables_of_the_client_may_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TOKEN", "PROJECT", "ADDON", "CONFIG"):
        monkeypatch.setenv(f"HOLDFAST_{name}", "anything")
    assert load({}).concurrency > 0
