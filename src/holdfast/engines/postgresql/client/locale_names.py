"""Names of libc's locales: which one a server misses, and how its machine gets it."""

import re
from collections.abc import Iterable, Sequence

from holdfast.kit.processes.process import Command, run

_EVERYWHERE = frozenset({"c", "posix"})
_OF_LINUX = re.compile(r"([a-z]{2,3}(?:_[A-Z]{2})?)(?:\.([\w-]+))?(@\w+)?")
_IN_ERROR = re.compile(r'initialized with LC_(?:COLLATE|CTYPE) "([^"]+)"')


def missing(error: str) -> str | None:
    """The locale that a server says it does not know, of a database that it does not open."""
    match = _IN_ERROR.search(error)
    return match[1] if match else None


def generation(name: str) -> str | None:
    """As an instruction for the person who administers the machine; None for a name that no Linux
    has, such as those of Windows."""
    match = _OF_LINUX.fullmatch(name)
    if match is None:
        return None
    language, charset, variant = match[1], match[2] or "UTF-8", match[3] or ""
    charset = "UTF-8" if charset.lower() in ("utf8", "utf-8") else charset
    return (
        f"on its machine, as root (Debian's package locales): echo '{language}.{charset}{variant}"
        f" {charset}' >> /etc/locale.gen && locale-gen, then restart the server"
    )


def lacking(names: Iterable[str]) -> Sequence[str]:
    """Those that this machine does not have."""
    listed = run(Command(["locale", "-a"], cwd="/")).stdout.decode(errors="replace").split()
    available = _EVERYWHERE | {_normal(name) for name in listed}
    return [name for name in names if listed and _normal(name) not in available]


def _normal(name: str) -> str:
    """`en_US.UTF-8` and `en_US.utf8` are the same locale."""
    language, dot, rest = name.partition(".")
    charset, at, variant = rest.partition("@")
    return f"{language}{dot}{charset.replace('-', '')}{at}{variant}".lower()
