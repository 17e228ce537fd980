"""Restricts the files that connection strings may name to those the machine's operator allows.

A certificate's key grants access. Users who may attach addons must not use keys of others by naming
their files, nor learn which files exist.
"""

from collections.abc import Sequence
from pathlib import Path

from holdfast.contracts.engine import Address, Engine
from holdfast.domain.errors import Invalid

PUBLIC = Path("/etc/ssl/certs")
"""The authorities that all users of the machine trust; no keys are there."""


def require_certificates(address: Address, engine: Engine, roots: Sequence[Path]) -> None:
    """Raises Invalid if the address names a file outside `roots`, whether it exists or not."""
    for option in engine.traits.certificates:
        text = address.options.get(option)
        if text is None or text == "system":  # PostgreSQL's word for the machine's authorities
            continue
        path = Path(text)
        below = any(path.is_relative_to(root) for root in (*roots, PUBLIC))
        # Links below the roots are the operator's responsibility.
        if not below or not path.is_absolute() or ".." in path.parts:
            problem = (
                f"names with {option} a file that is in none of the directories that the operator"
                " allows (`certificates` in the data directory, or HOLDFAST_CERTIFICATE_ROOTS)"
            )
            raise Invalid(f"the connection string {problem}", {"connectionString": problem})
