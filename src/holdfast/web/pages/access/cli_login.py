"""The page on which a user gives a token to a command line, or refuses."""

from dataclasses import dataclass

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from holdfast.catalog.access import cli_logins as rows
from holdfast.domain.errors import Failure, NotFound
from holdfast.http.arrival import address_of
from holdfast.http.errors import details_of
from holdfast.http.state import of
from holdfast.http.writing import Writer
from holdfast.kit.seal import Secret
from holdfast.usecases.access import cli_logins as verbs
from holdfast.usecases.context import Context
from holdfast.usecases.forms.users import CliLoginForm
from holdfast.web.forms import Form
from holdfast.web.session import Posting, Viewer, Viewing, require_fresh
from holdfast.web.sign_in.entering import show_door

router = APIRouter()

_FIELDS = ("name", "role", "expiresInHours")


@dataclass(frozen=True)
class Waiting:
    """The command line, as the page shows it."""

    ending: str
    address: str
    program: str
    created: int
    expires: int
    roles: list[str]


@router.get("/cli-login")
async def cli_login_page(request: Request, viewer: Viewing) -> Response:
    link = Secret(request.query_params.get("sessionToken", ""))
    return await _show(request, viewer, link)


async def _show(
    request: Request, viewer: Viewer, link: Secret, form: Form | None = None
) -> Response:
    api = of(request)
    now = api.clock.now()

    def read() -> Waiting:
        with api.catalog.read() as session:
            row = rows.waiting(session, rows.digest_of(link), now)
            if row is None:
                raise NotFound(
                    "no command line waits under this link: it was answered, is too old, or the"
                    " command has ended"
                )
            roles = verbs.allowed_roles(session, viewer.caller)
            facts = row.ending, row.address, row.program, row.created, row.expires
            return Waiting(*facts, roles)

    waiting = await api.turns.run(read)
    name = f"{viewer.caller.name} at {waiting.address}"[:100]
    usual = "default" if "default" in waiting.roles else viewer.caller.role
    values = {"name": name, "role": usual, "expiresInHours": "720"}
    return show_door(
        request,
        "access/cli_login.html",
        "A command line wants to sign in",
        400 if form else 200,
        viewer=viewer,
        lead="It gets a token of yours. Check that you started it.",
        waiting=waiting,
        link=link.reveal(),
        form=form or Form(values=values, known=_FIELDS),
        same=waiting.address == address_of(request),
        address=address_of(request),
    )


@router.post("/cli-login")
async def answer_cli_login(request: Request, posted: Posting) -> Response:
    """Gives a token, or refuses. To give one needs a fresh sign-in, as making one does."""
    viewer, link = posted.viewer, Secret(str(posted.form.get("link", "")))
    writer = Writer(of(request), request)
    if posted.form.get("decision") == "refuse":

        def refuse(context: Context) -> None:
            verbs.refuse(context, link)

        await run_in_threadpool(writer.run, viewer.caller, refuse)
        return _done(request, viewer, "Refused", "The command line got nothing.")
    require_fresh(request, viewer, posted.form)
    form = Form.of(posted.form, _FIELDS)
    try:
        body = CliLoginForm.model_validate({name: form.number(name) for name in _FIELDS})

        def give(context: Context) -> None:
            verbs.give(context, link, body, is_user=viewer.user_pk is not None)

        await run_in_threadpool(writer.run, viewer.caller, give)
    except ValidationError as error:
        problems = details_of([{**item, "loc": ("body", *item["loc"])} for item in error.errors()])
        return await _show(request, viewer, link, form.fail("this does not fit", **problems))
    except NotFound:
        raise
    except Failure as error:
        return await _show(request, viewer, link, form.fail(error.message))
    return _done(request, viewer, "It is signed in", "You can close this page.")


def _done(request: Request, viewer: Viewer, title: str, lead: str) -> Response:
    return show_door(request, "access/done.html", title, viewer=viewer, lead=lead)
