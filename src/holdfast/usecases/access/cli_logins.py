"""A command line asks for a token over a socket; its user decides in a browser.

The two meet in a row: the browser may be at another process than the socket. The link opens
nothing by itself, is answered once, and ends with the socket or after five minutes.
"""

import secrets

from holdfast.catalog import tokens
from holdfast.catalog.access import cli_logins
from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import CliLogin, Token
from holdfast.domain.access import BUILT_IN, Caller, Permission
from holdfast.domain.errors import Forbidden, Invalid, NotFound, Refused
from holdfast.domain.units import DAY_MS, HOUR_MS, MINUTE_MS
from holdfast.kit import ids
from holdfast.kit.seal import Secret
from holdfast.usecases.context import Context
from holdfast.usecases.forms.users import CliLoginForm

LASTING_MS = 5 * MINUTE_MS
MAX_WAITING_OF_ADDRESS = 10
GIVEN, REFUSED = "given", "refused"
_ENDING_CHARACTERS = 9
_PROGRAM_CHARACTERS = 200


class TooManyWaiting(Refused):
    """Too many command lines of this address wait for a token already."""

    code = "cli-login.waiting"
    status = 429


def new_link() -> Secret:
    """The secret of a link. It ends with two groups of four digits, which people compare."""
    return Secret(f"{secrets.token_urlsafe(24)}-{secrets.token_hex(2)}-{secrets.token_hex(2)}")


def begin(session: WriteSession, link: Secret, address: str, program: str, now: int) -> None:
    """Adds the waiting command line. Raises TooManyWaiting."""
    cli_logins.forget_ended(session, now)
    if cli_logins.count_of(session, address, now) >= MAX_WAITING_OF_ADDRESS:
        raise TooManyWaiting
    row = CliLogin(
        digest=cli_logins.digest_of(link),
        ending=link.reveal()[-_ENDING_CHARACTERS:],
        address=address,
        program=program[:_PROGRAM_CHARACTERS],
        created=now,
        expires=now + LASTING_MS,
    )
    session.add(row)


def allowed_roles(session: ReadSession, caller: Caller) -> list[str]:
    """The roles that are no higher than the caller's, the built-in ones first."""
    names = [*reversed(list(BUILT_IN)), *(role.id for role in tokens.roles(session))]
    reach = ((name, tokens.permissions_of(session, name)) for name in names)
    return [
        name
        for name, permissions in reach
        if permissions is not None and permissions <= caller.permissions
    ]


def give(context: Context, link: Secret, form: CliLoginForm, *, is_user: bool) -> None:
    """Gives the command line a token of the caller's, and closes the link."""
    row = _waiting(context, link)
    if not is_user and not context.caller.may(Permission.TOKENS_MANAGE):
        raise Forbidden("only users give tokens; this session was opened with an API token")
    if form.role not in allowed_roles(context.session, context.caller):
        problem = f"is not a role that you hold: {form.role!r}"
        raise Invalid(f"the role {problem}", {"role": problem})
    token = Secret(ids.token())
    lasting = form.expires_in_hours * HOUR_MS if form.expires_in_hours else 30 * DAY_MS
    own = context.caller.projects
    context.session.add(
        Token(
            id=ids.hex24(),
            name=form.name,
            digest=tokens.digest(token),
            role=form.role,
            projects=sorted(own) if own is not None else None,
            created=context.now,
            expires=context.now + lasting,
            user_id=context.caller.token_id if is_user else None,
        )
    )
    row.answer, row.context = GIVEN, form.name
    row.sealed_token = context.services.sealer.seal(token, f"cli login {row.digest}")


def refuse(context: Context, link: Secret) -> None:
    _waiting(context, link).answer = REFUSED


def _waiting(context: Context, link: Secret) -> CliLogin:
    row = cli_logins.waiting(context.session, cli_logins.digest_of(link), context.now)
    if row is None:
        raise NotFound("this link was answered already, is too old, or its command line has gone")
    return row
