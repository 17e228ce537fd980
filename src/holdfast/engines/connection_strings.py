"""What the connection strings of all engines have in common."""

from urllib.parse import quote

from holdfast.contracts.engine import Address
from holdfast.domain.errors import Invalid


def invalid(problem: str) -> Invalid:
    """The error for a connection string that cannot be used; `problem` completes the sentence."""
    return Invalid(f"the connection string {problem}", {"connectionString": problem})


def authority(address: Address) -> str:
    """`user:password@host:port` of a URL, quoted; an IPv6 address stands in brackets."""
    host = f"[{address.host}]" if ":" in address.host else quote(address.host, safe="")
    login = f"{quote(address.user, safe='')}:{quote(address.password.reveal(), safe='')}"
    return f"{login}@{host}:{address.port}"
