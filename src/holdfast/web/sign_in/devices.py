"""A cookie that says that a user signed in from this browser before.

It opens nothing. It only spares its user the wait that guessers at their name cause. A changed
password makes it worthless.
"""

from starlette.requests import Request
from starlette.responses import Response

from holdfast.catalog.schema import User
from holdfast.domain.units import DAY_MS
from holdfast.kit import ids
from holdfast.kit.sign import Signer
from holdfast.web.session import is_encrypted

_DAYS = 180
_PARTS = 3


class Devices:
    """Makes and checks the cookies."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def mark(self, request: Request, response: Response, user: User, now: int) -> None:
        expires, device = now + _DAYS * DAY_MS, ids.hex24()
        signature = self._signer.sign(_subject(user, device), expires)
        secure = is_encrypted(request)
        response.set_cookie(
            _name(request),
            f"{expires}.{device}.{signature}",
            max_age=_DAYS * 24 * 3600,
            path="/",
            secure=secure,
            httponly=True,
            samesite="strict",
        )

    def device_of(self, request: Request, user: User, now: int) -> str | None:
        """The number of the browser, if this user signed in from it before."""
        parts = request.cookies.get(_name(request), "").split(".")
        if len(parts) != _PARTS or not (parts[0].isascii() and parts[0].isdigit()):
            return None
        expires, device, signature = int(parts[0]), parts[1], parts[2]
        return (
            device if self._signer.valid(_subject(user, device), expires, signature, now) else None
        )


def _name(request: Request) -> str:
    return "__Host-holdfast-device" if is_encrypted(request) else "holdfast-device"


def _subject(user: User, device: str) -> str:
    return f"{user.id}|{user.password_set}|{device}"
