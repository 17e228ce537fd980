"""Answers those who have to sign in first, and loses nothing of what they were about to send."""

from urllib.parse import urlencode

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from holdfast.http.errors import answer_failure
from holdfast.web.pages.access.sign_in import show_sign_in
from holdfast.web.problems import is_program
from holdfast.web.session import FreshSignInNeeded, SignInNeeded
from holdfast.web.sign_in.entering import show_onward
from holdfast.web.sign_in.going_on import GoingOn


def install(app: FastAPI) -> None:
    app.add_exception_handler(SignInNeeded, answer)
    app.add_exception_handler(FreshSignInNeeded, answer)


async def answer(request: Request, error: Exception) -> Response:
    """Shows the sign-in page at once after a form, which it keeps; else leads there."""
    if not isinstance(error, SignInNeeded):
        raise error
    if is_program(request):
        return await answer_failure(request, error)
    going_on, again = GoingOn.of_error(error), isinstance(error, FreshSignInNeeded)
    if going_on.is_form:
        problem = "Please confirm that it is you." if again else "Your session has ended."
        return show_sign_in(request, going_on, problem, 401, again=again)
    where = f"/signin?{urlencode({'next': going_on.path, **({'again': '1'} if again else {})})}"
    if request.headers.get("hx-request"):
        return Response(status_code=401, headers={"hx-redirect": where})
    if request.headers.get("sec-fetch-site") == "cross-site" and not again:
        # The browser leaves out the cookie because another site led here. It sends it with the
        # next request, which is then ours.
        return show_onward(request, going_on.path)
    return RedirectResponse(where, 303)
