"""Passkeys (WebAuthn): what a browser is asked for, and whether its answer is a user's.

A challenge is signed instead of stored, and ends after five minutes. A process takes it once; and
none takes one that is older than the last use of the passkey.
"""

import json
import secrets
import struct
from typing import Any, cast

from starlette.requests import Request
from webauthn import (
    base64url_to_bytes,
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from holdfast.catalog.schema import Passkey, User
from holdfast.domain.errors import Invalid, Unauthenticated
from holdfast.http.state import of
from holdfast.web.session import is_encrypted, is_loopback
from holdfast.web.sign_in.parts import parts_of

_CHALLENGE_MS = 5 * 60_000
_NONCE_BYTES = 16
_INVALID = "the passkey's answer is not valid"
_TOO_OLD = "that took too long; please try again"
_MALFORMED = (
    *(WebAuthnException, ValueError, LookupError, TypeError),
    *(AttributeError, RecursionError, struct.error),
)
"""What answers that no browser makes end in."""


def can_use(request: Request) -> bool:
    """Whether browsers allow passkeys at this address: not for an IP, and only over TLS."""
    name = request.url.hostname or ""
    is_name = any(character.isalpha() for character in name) and ":" not in name
    return is_name and (is_encrypted(request) or is_loopback(request))


def request_options(request: Request) -> str:
    """What a browser needs to sign in with any passkey of this site; empty where it cannot."""
    if not can_use(request):
        return ""
    options = generate_authentication_options(
        rp_id=request.url.hostname or "",
        challenge=_new_challenge(request, "sign-in"),
        user_verification=UserVerificationRequirement.REQUIRED,
        timeout=_CHALLENGE_MS,
    )
    return options_to_json(options)


def creation_options(request: Request, user: User, existing: list[Passkey]) -> str:
    """What a browser needs to make a passkey of the user; empty where it cannot."""
    if not can_use(request):
        return ""
    options = generate_registration_options(
        rp_id=request.url.hostname or "",
        rp_name="Holdfast",
        user_id=user.id.encode(),
        user_name=user.name,
        challenge=_new_challenge(request, f"passkey of {user.id}"),
        timeout=_CHALLENGE_MS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[
            PublicKeyCredentialDescriptor(id=base64url_to_bytes(passkey.credential))
            for passkey in existing
        ],
    )
    return options_to_json(options)


def registered(request: Request, user: User, answer: str, name: str, now: int) -> Passkey:
    """The new passkey of the user. Raises Invalid for an answer that does not check."""
    challenge = _challenge_in(request, answer, f"passkey of {user.id}")
    try:
        verified = verify_registration_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=request.url.hostname or "",
            expected_origin=_origin(request),
            require_user_verification=True,
        )
    except _MALFORMED as error:
        raise Invalid(f"{_INVALID}: {error}", {"passkey": str(error)}) from error
    listed = _object(_parsed(answer).get("response")).get("transports")
    transports = cast("list[object]", listed) if isinstance(listed, list) else []
    return Passkey(
        user_pk=user.pk,
        name=name,
        credential=bytes_to_base64url(verified.credential_id),
        public_key=bytes_to_base64url(verified.credential_public_key),
        sign_count=verified.sign_count,
        transports=[str(word)[:20] for word in transports][:8],
        created=now,
    )


def credential_of(answer: str) -> str:
    """The id of the passkey that answered, unchecked. Raises Unauthenticated without one."""
    return str(_object(_parsed(answer)).get("id", ""))


def sign_count_of(request: Request, passkey: Passkey, answer: str) -> int:
    """Checks that the passkey answered. Raises Unauthenticated."""
    challenge = _challenge_in(request, answer, "sign-in")
    expires = int.from_bytes(challenge[_NONCE_BYTES : _NONCE_BYTES + 8], "big")
    if expires - _CHALLENGE_MS <= (passkey.last_used or 0):
        raise Unauthenticated(_TOO_OLD)
    try:
        verified = verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=request.url.hostname or "",
            expected_origin=_origin(request),
            credential_public_key=base64url_to_bytes(passkey.public_key),
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
    except _MALFORMED as error:
        raise Unauthenticated(_INVALID) from error
    return verified.new_sign_count


def _new_challenge(request: Request, purpose: str) -> bytes:
    expires = of(request).clock.now() + _CHALLENGE_MS
    nonce = secrets.token_bytes(_NONCE_BYTES)
    signature = parts_of(request).signer.sign(f"challenge|{purpose}|{nonce.hex()}", expires)
    return nonce + expires.to_bytes(8, "big") + bytes.fromhex(signature)


def _challenge_in(request: Request, answer: str, purpose: str) -> bytes:
    """The challenge that was answered, if we made it for this purpose a moment ago."""
    parts, now = parts_of(request), of(request).clock.now()
    try:
        client = base64url_to_bytes(_object(_parsed(answer).get("response"))["clientDataJSON"])
        challenge = base64url_to_bytes(json.loads(client)["challenge"])
    except _MALFORMED as error:
        raise Unauthenticated(_INVALID) from error
    nonce, times = challenge[:_NONCE_BYTES], challenge[_NONCE_BYTES : _NONCE_BYTES + 8]
    expires = int.from_bytes(times, "big")
    subject = f"challenge|{purpose}|{nonce.hex()}"
    signature = challenge[_NONCE_BYTES + 8 :].hex()
    if not parts.signer.valid(subject, expires, signature, now) or not parts.once(nonce, now):
        raise Unauthenticated(_TOO_OLD)
    return challenge


def _parsed(answer: str) -> dict[str, Any]:
    try:
        return _object(json.loads(answer))
    except (ValueError, RecursionError) as error:
        raise Unauthenticated(_INVALID) from error


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unauthenticated(_INVALID)
    return value  # pyright: ignore[reportUnknownVariableType] - JSON


def _origin(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"
