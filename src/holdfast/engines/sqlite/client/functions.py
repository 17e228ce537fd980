"""Functions of newer SQLite versions that their shell writes into dumps."""

import re
import sqlite3

_ESCAPE = re.compile(
    r"\\(?:\\|\+([0-9A-Fa-f]{6})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([0-9A-Fa-f]{4})|(.|$))",
    re.DOTALL,
)


def add(session: sqlite3.Connection) -> None:
    """Registers those that this library lacks."""
    names = {str(row[0]) for row in session.execute("SELECT name FROM pragma_function_list")}
    if "unistr" not in names:
        session.create_function("unistr", 1, _unistr, deterministic=True)


def _unistr(text: str | None) -> str | None:
    r"""As since 3.50: `\XXXX`, `\uXXXX`, `\+XXXXXX` and `\UXXXXXXXX` are characters, `\\` is one
    backslash. ValueError for any other."""

    def character(match: re.Match[str]) -> str:
        if match[5] is not None:
            raise ValueError("invalid Unicode escape")
        digits = next((group for group in match.groups()[:4] if group), None)
        return "\\" if digits is None else chr(int(digits, 16))

    if text is None:
        return None
    return _ESCAPE.sub(character, text).encode("utf-16", "surrogatepass").decode("utf-16")
