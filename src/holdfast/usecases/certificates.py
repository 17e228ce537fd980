"""Which files of this machine a connection string may name: those that its operator allows.

A certificate's key is a right. Whoever may attach addons must not use the rights of others by
naming their files, nor learn which files there are.
"""

from collections.abc import Sequence
from pathlib import Path

from holdfast.contracts.engine import Address, Engine
from holdfast.domain.errors import Invalid

PUBLIC = Path("/etc/ssl/certs")
"""The authorities that everybody on the machine trusts; there are no keys."""


def require_certificates(address: Address, engine: Engine, roots: Sequence[Path]) -> None:
    """Raises Invalid when it names a file that is not below `roots`, be there one or not."""
    for option in engine.traits.certificates:
        text = address.options.get(option)
        if text is not None and not _may_be_named(text, roots):
            problem = (
                f"names with {option} a file that is in none of the directories that the operator"
                " allows (`certificates` in the data directory, or HOLDFAST_CERTIFICATE_ROOTS)"
            )
            raise Invalid(f"the connection string {problem}", {"connectionString": problem})


def _may_be_named(text: str, roots: Sequence[Path]) -> bool:
    """Links below them are the operator's affair."""
    path = Path(text)
    if not path.is_absolute() or ".." in path.parts:
        return text == "system"  # PostgreSQL's word for the machine's authorities
    return any(path.is_relative_to(root) for root in (*roots, PUBLIC))
