"""The routers of signing in and of access, in one list for the application."""

from holdfast.web.pages.access import (
    access,
    account,
    cli_login,
    passkeys,
    sign_in,
    single_sign_on,
    welcome,
)
from holdfast.web.pages.setup import setup

ROUTERS = [
    sign_in.router,
    passkeys.router,
    single_sign_on.router,
    welcome.router,
    setup.router,
    cli_login.router,
    account.router,
    access.router,
]
