"""Every setting has its row in docs/settings.md, with its default and what it is for."""

from pathlib import Path

from holdfast.settings import Settings

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
