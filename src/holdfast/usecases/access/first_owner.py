"""The link with which a fresh installation gets its first owner.

It is signed and not stored: it ends after a day, and with the first user that there is.
"""

from holdfast.catalog.access import users
from holdfast.catalog.schema import User
from holdfast.domain.access import BUILT_IN, Caller
from holdfast.domain.errors import NotFound
from holdfast.domain.units import DAY_MS
from holdfast.kit.seal import Sealer
from holdfast.kit.sign import Signer
from holdfast.usecases.access.users import new_user, set_password
from holdfast.usecases.context import Context

LASTING_MS = DAY_MS
_SUBJECT = "first owner"
OPENER = Caller("set-up", "set-up", "owner", BUILT_IN["owner"], None)
"""Who makes the first owner, as the audit log names it."""


def make_key(sealer: Sealer, now: int) -> str:
    expires = now + LASTING_MS
    return f"{expires}.{_signer(sealer).sign(_SUBJECT, expires)}"


def is_valid(sealer: Sealer, key: str, now: int) -> bool:
    """Whether the key was made here, within a day. Whether there is a user, `create` says."""
    expires, _, signature = key.partition(".")
    if not (expires.isascii() and expires.isdigit()):
        return False
    return _signer(sealer).valid(_SUBJECT, int(expires), signature, now)


def create(context: Context, name: str, password_hash: str) -> User:
    """Makes the first owner. Raises NotFound when there is a user: the link is used then."""
    if users.any_user(context.session):
        raise NotFound("this link was used already: sign in, or ask an owner for an invitation")
    user = new_user(name, "owner", context.now)
    set_password(context, user, password_hash)
    context.session.add(user)
    context.session.flush()
    return user


def _signer(sealer: Sealer) -> Signer:
    return Signer(sealer.derive("signer of set-up").reveal().encode(), "set-up")
