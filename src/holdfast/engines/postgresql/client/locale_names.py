"""Names of libc locales: which one a server lacks, and how to install it."""

import re
from collections.abc import Iterable, Sequence

from holdfast.kit.processes.process import Command, run

_ALWAYS_AVAILABLE = frozenset({"c", "posix"})
_LINUX_LOCALE = re.compile(r"([a-z]{2,3}(?:_[A-Z]{2})?)(?:\.([\w-]+))?(@\w+)?")
_LOCALE_IN_ERROR = re.compile(r'initialized with LC_(?:COLLATE|CTYPE) "([^"]+)"')


def missing_locale(error: str) -> str | None:
    """The locale in the error message of a server that cannot open a database without it."""
    match = _LOCALE_IN_ERROR.search(error)
    return match[1] if match else None


def install_hint(name: str) -> str | None:
    """An instruction for the administrator of the server's machine.

    None for a name that no Linux has, such as those of Windows.
    """
    match = _LINUX_LOCALE.fullmatch(name)
    if match is None:
        return None
    language, charset, variant = match[1], match[2] or "UTF-8", match[3] or ""
    charset = "UTF-8" if charset.lower() in ("utf8", "utf-8") else charset
    return (
        f"on its machine, as root (Debian's package locales): echo '{language}.{charset}{variant}"
        f" {charset}' >> /etc/locale.gen && locale-gen, then restart the server"
    )


def not_installed(names: Iterable[str]) -> Sequence[str]:
    """Those of `names` that this machine does not have."""
    listed = run(Command(["locale", "-a"], cwd="/")).stdout.decode(errors="replace").split()
    available = _ALWAYS_AVAILABLE | {_normal(name) for name in listed}
    return [name for name in names if listed and _normal(name) not in available]


def _normal(name: str) -> str:
    """`en_US.UTF-8` and `en_US.utf8` are the same locale."""
    language, dot, rest = name.partition(".")
    charset, at, variant = rest.partition("@")
    return f"{language}{dot}{charset.replace('-', '')}{at}{variant}".lower()
