"""The parts that signing in works with, made once and kept on the application."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from fastapi import FastAPI
from starlette.requests import Request

from holdfast.domain.sign_in.groups import Grant
from holdfast.http.limits.sign_ins import SignIns
from holdfast.http.state import Api
from holdfast.kit.sign import Signer
from holdfast.kit.sign_in.oidc import Provider
from holdfast.web.sign_in.devices import Devices
from holdfast.web.sign_in.going_on import Stash

_CHALLENGE_MS = 10 * 60_000


@dataclass(frozen=True)
class SingleSignOn:
    """A provider by the name that people know it by. `alone`: there is no other way in."""

    provider: Provider
    title: str
    grants: Sequence[Grant]
    name_claim: str
    groups_claim: str
    alone: bool


@dataclass(frozen=True)
class SignInParts:
    """`signer` signs what a browser brings back: challenges, and that a password was right."""

    attempts: SignIns
    devices: Devices
    signer: Signer
    stash: Stash
    single: SingleSignOn | None
    answered: dict[bytes, int] = field(default_factory=dict[bytes, int])
    """Challenges that were answered, with the time of it."""

    def once(self, nonce: bytes, now: int) -> bool:
        """Whether the challenge is answered for the first time."""
        for old in [old for old, at in self.answered.items() if now - at > _CHALLENGE_MS]:
            del self.answered[old]
        if nonce in self.answered:
            return False
        self.answered[nonce] = now
        return True


def install(app: FastAPI, api: Api, single: SingleSignOn | None) -> None:
    app.state.sign_in = SignInParts(
        SignIns(api.throttle, api.clock),
        Devices(_signer(api, "known devices")),
        _signer(api, "sign-in"),
        Stash(api.clock),
        single,
    )


def _signer(api: Api, purpose: str) -> Signer:
    """A key of its own for each purpose, the same in all processes of the installation."""
    return Signer(api.services.sealer.derive(f"signer of {purpose}").reveal().encode(), purpose)


def parts_of(request: Request) -> SignInParts:
    return cast("SignInParts", request.app.state.sign_in)
