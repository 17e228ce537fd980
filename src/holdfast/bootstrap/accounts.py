"""The operator's commands about users, on this machine and without a server."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from holdfast.bootstrap.parts import Parts
from holdfast.catalog.access import users as rows
from holdfast.catalog.audit import Change
from holdfast.catalog.database.session import take_turns
from holdfast.catalog.schema import User
from holdfast.domain.access import BUILT_IN, Caller
from holdfast.domain.errors import Invalid, NotFound
from holdfast.kit import ids
from holdfast.kit.seal import Secret
from holdfast.kit.sign_in.passwords import Hasher
from holdfast.settings import Settings
from holdfast.usecases.access import users as verbs
from holdfast.usecases.auditing import Origin, audited
from holdfast.usecases.context import Context
from holdfast.usecases.forms.users import UserForm
from holdfast.views.access.users import user_views

OPERATOR = Caller("operator", "operator", "owner", BUILT_IN["owner"], None)
"""Who has the data directory and the master key may do everything."""


def create_user(parts: Parts, body: dict[str, object]) -> dict[str, Any]:
    """Creates a user as the API does. Raises what the API answers."""
    try:
        form = UserForm.model_validate({"role": "owner", **body})
    except ValidationError as error:
        problems = {str(problem["loc"][0]): str(problem["msg"]) for problem in error.errors()}
        sentence = "; ".join(f"{name}: {text}" for name, text in problems.items())
        raise Invalid(sentence, problems) from error
    password_hash = None
    if form.password is not None:
        password_hash = _hash(Secret(form.password.get_secret_value()), form.name)
    return _change(parts, "create_user", lambda context: verbs.create(context, form, password_hash))


def reset_user(
    parts: Parts, name: str, password: Secret | None, *, second_factors: bool
) -> dict[str, Any]:
    """Ends a user's password and sessions. Sets `password`, or makes a link to choose one."""
    password_hash = _hash(password, name) if password is not None else None

    def reset(context: Context) -> tuple[User, Secret]:
        session = context.session
        user = rows.of_name(session, name) or rows.of_id(session, name)
        if user is None:
            raise NotFound(f"there is no user {name!r}")
        key = verbs.reset(context, user, second_factors=second_factors)
        if password_hash is None:
            return user, key
        verbs.set_password(context, user, password_hash)
        user.disabled = None
        return user, Secret("")

    return _change(parts, "reset_password", reset)


def _hash(password: Secret, name: str) -> str:
    verbs.require_good(password, name)
    return Hasher().hash(password)


def _change(
    parts: Parts, action: str, work: Callable[[Context], tuple[User, Secret]]
) -> dict[str, Any]:
    """Runs a verb as the operator, in a transaction that has its audit entry."""
    now = parts.clock.now()
    asked = Change("installation", "", None, None, before=None, after=None)
    origin = Origin(ids.hex24(), "local", action, asked)
    with parts.catalog.write() as session:
        take_turns(session)
        context = Context(session, OPERATOR, now, parts.services)
        user, key = audited(session, OPERATOR, origin, now, lambda: work(context))
        (view,) = user_views(session, [user])
    document = view.model_dump(mode="json", by_alias=True, exclude_none=True)
    if key.reveal():
        link = f"{base_url(parts.settings)}/welcome?key={quote(key.reveal())}"
        document["passwordLink"] = link
    return document


def base_url(settings: Settings) -> str:
    """Where the dashboard is, as far as the settings say."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    scheme = "https" if settings.tls_certificate else "http"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{settings.port}"
