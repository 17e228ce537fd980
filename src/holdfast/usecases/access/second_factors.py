"""Second factors of a user: the code of an authenticator app, and recovery codes."""

from holdfast.catalog.access import passkeys
from holdfast.catalog.schema import Passkey, RecoveryCode, User
from holdfast.domain.errors import Invalid
from holdfast.kit.seal import Secret
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
    secret = context.services.sealer.open(user.sealed_totp, _context_of(user))
    step = one_time_codes.accepted_step(secret, code, context.now, user.totp_step)
    if step is not None:
        user.totp_step = step
        return "code"
    digest = one_time_codes.recovery_digest(user.id, code)
    row = passkeys.recovery_code(context.session, user.pk, digest)
    if row is None:
        return None
    row.used = context.now
    return "recovery code"


def remove_passkey(context: Context, passkey: Passkey) -> None:
    context.session.delete(passkey)


def _context_of(user: User) -> str:
    return f"totp {user.id}"
