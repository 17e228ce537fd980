"""What others wrote and we ship is exactly what they published."""

import hashlib

import holdfast.web.static_files as files

HTMX = "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"
"""Of dist/htmx.min.js in htmx.org 2.0.11 of the npm registry."""


def test_htmx_is_the_published_one() -> None:
    directory = files._DIRECTORY / "vendor"
    (script,) = directory.glob("htmx-*.min.js")
    assert script.name == "htmx-2.0.11.min.js"
    assert hashlib.sha256(script.read_bytes()).hexdigest() == HTMX
    assert "Zero-Clause BSD" in (directory / "htmx.LICENSE").read_text()


def test_a_changed_file_has_another_name() -> None:
    static = files.StaticFiles()
    assert static.url("app.css").startswith("/static/app.")
    assert static.url("vendor/htmx-2.0.11.min.js").endswith(".js")
