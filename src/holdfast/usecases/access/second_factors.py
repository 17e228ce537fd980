"""Second factors of a user: the code of an authenticator app, and recovery codes."""

from holdfast.catalog.access import passkeys
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Passkey, RecoveryCode, User
from holdfast.domain.errors import Invalid
from holdfast.kit.seal import Sealer, Secret
from holdfast.kit.sign_in import one_time_codes
from holdfast.usecases.context import Context


def enable_codes(context: Context, user: User, secret: Secret, code: str) -> list[Secret]:
    """Asks for codes of the app from now on, of which one proves that it works.

    Returns recovery codes. Raises Invalid for a wrong code.
    """
    step = one_time_codes.accepted_step(secret, code, context.now, None)
    if step is None:
        problem = "is not what the app should show now; is its clock right?"
        raise Invalid(f"the code {problem}", {"code": problem})
    user.sealed_totp = context.services.sealer.seal(secret, _context_of(user))
    user.totp_step = step
    return make_recovery_codes(context, user)


def disable_codes(context: Context, user: User) -> None:
    user.sealed_totp = user.totp_step = None
    passkeys.forget_codes(context.session, user.pk)


def make_recovery_codes(context: Context, user: User) -> list[Secret]:
    """Replaces all recovery codes; this is the only time they are seen."""
    passkeys.forget_codes(context.session, user.pk)
    codes = one_time_codes.new_recovery_codes()
    for code in codes:
        digest = one_time_codes.recovery_digest(user.id, code.reveal())
        context.session.add(RecoveryCode(user_pk=user.pk, digest=digest))
    return codes


def accept_code(context: Context, user: User, code: str) -> str | None:
    """Uses up a code. Returns `code` or `recovery code`, None for one that is wrong or used."""
    if user.sealed_totp is None:
        return None
    step = _step_of(context.services.sealer, user, code, context.now)
    if step is not None:
        user.totp_step = step
        return "code"
    row = _recovery_code(context.session, user, code)
    if row is None:
        return None
    row.used = context.now
    return "recovery code"


def is_right(session: ReadSession, sealer: Sealer, user: User, code: str, now: int) -> bool:
    """Whether the code would be accepted; does not use it up."""
    by_app = _step_of(sealer, user, code, now) is not None
    return by_app or _recovery_code(session, user, code) is not None


def _step_of(sealer: Sealer, user: User, code: str, now: int) -> int | None:
    """The step of a code of the app; None for a wrong or used one, and without an app."""
    if user.sealed_totp is None:
        return None
    secret = sealer.open(user.sealed_totp, _context_of(user))
    return one_time_codes.accepted_step(secret, code, now, user.totp_step)


def _recovery_code(session: ReadSession, user: User, code: str) -> RecoveryCode | None:
    digest = one_time_codes.recovery_digest(user.id, code)
    return passkeys.recovery_code(session, user.pk, digest)


def remove_passkey(context: Context, passkey: Passkey) -> None:
    context.session.delete(passkey)


def _context_of(user: User) -> str:
    return f"totp {user.id}"
