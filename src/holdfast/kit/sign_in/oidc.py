"""Asks an OpenID Connect provider who a user is: discovery, code flow with PKCE, ID tokens.

Blocking: call it from a thread. What a provider says is believed only after its signature, issuer,
audience, nonce and times were checked. Its keys may change at any time: an unknown one is looked
for again, though not more often than every five seconds.
"""

import base64
import hashlib
import math
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote, urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, KeySetSerialization

from holdfast.domain.errors import ProviderUnavailable, Unauthenticated
from holdfast.kit.clock import Clock
from holdfast.kit.seal import Secret

LEEWAY_SECONDS = 120
"""By how much the provider's clock may differ from ours."""
_ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
)
"""Signatures by a key that the provider publishes; not those by a shared secret, and not `none`."""
_METADATA_SECONDS = 3600.0
_KEYS_SECONDS = 5.0
_ANSWER_SECONDS = 10.0
_ANSWER_BYTES = 1 << 20

Claims = Mapping[str, Any]


@dataclass(frozen=True)
class Handshake:
    """What a browser's sign-in has to bring back, or prove. Kept in a cookie of its own."""

    state: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @property
    def challenge(self) -> str:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@dataclass(frozen=True)
class Identity:
    """What the provider says of a user, checked."""

    subject: str
    claims: Claims
    id_token: Secret

    def texts(self, claim: str) -> list[str]:
        """The texts of a claim that is a list, or one text. Dots lead into objects."""
        value: Any = self.claims.get(claim)
        if value is None:
            value = self.claims
            for part in claim.split("."):
                value = cast("Claims", value).get(part) if isinstance(value, dict) else None
        listed = cast("list[Any]", value) if isinstance(value, list) else [value]
        return [text for text in listed if isinstance(text, str)]


class Provider:
    """One provider, as its discovery document describes it."""

    def __init__(
        self, issuer: str, client_id: str, client_secret: Secret | None, scopes: str, clock: Clock
    ) -> None:
        self.issuer = issuer.rstrip("/")
        self._client_id = client_id
        self._client_secret = client_secret
        self._scopes = scopes
        self._clock = clock
        self._lock = threading.Lock()
        self._metadata: tuple[float, Claims] | None = None
        self._keys: tuple[float, KeySet] | None = None

    @property
    def host(self) -> str:
        return urlsplit(self.issuer).netloc

    def metadata(self) -> Claims:
        """The discovery document. Raises ProviderUnavailable, also for another issuer's."""
        with self._lock:
            entry = self._metadata
        if entry is not None and self._clock.monotonic() - entry[0] < _METADATA_SECONDS:
            return entry[1]
        document = self._get(f"{self.issuer}/.well-known/openid-configuration")
        issuer = str(document.get("issuer", "")).rstrip("/")
        if issuer != self.issuer:
            raise ProviderUnavailable(
                f"the single sign-on provider calls itself {issuer!r}, not {self.issuer!r};"
                " HOLDFAST_OIDC_ISSUER must be exactly its issuer"
            )
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not isinstance(document.get(name), str):
                raise ProviderUnavailable(f"the provider at {self.issuer} names no {name}")
        with self._lock:
            self._metadata = (self._clock.monotonic(), document)
        return document

    def authorization_url(
        self, handshake: Handshake, redirect_uri: str, newer_than_seconds: int | None
    ) -> str:
        """Where the browser goes. `newer_than_seconds`: how old the user's own sign-in may be."""
        parameters = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": self._scopes,
            "state": handshake.state,
            "nonce": handshake.nonce,
            "code_challenge": handshake.challenge,
            "code_challenge_method": "S256",
        }
        if newer_than_seconds is not None:
            parameters["max_age"] = str(newer_than_seconds)
        return _with_query(str(self.metadata()["authorization_endpoint"]), parameters)

    def identify(self, code: str, handshake: Handshake, redirect_uri: str) -> Identity:
        """Exchanges the code for what the provider says of the user.

        Raises Unauthenticated for what does not check, ProviderUnavailable.
        """
        tokens = self._exchange(code, handshake, redirect_uri)
        id_token = tokens.get("id_token")
        if not isinstance(id_token, str):
            raise Unauthenticated("the provider gave no ID token; is `openid` among the scopes?")
        claims = self._verify(id_token, handshake.nonce)
        endpoint, access_token = (
            self.metadata().get("userinfo_endpoint"),
            tokens.get("access_token"),
        )
        if isinstance(endpoint, str) and isinstance(access_token, str):
            more = self._get(endpoint, access_token)
            if more.get("sub") == claims["sub"]:  # else it is about another user
                claims = {**more, **claims}
        return Identity(str(claims["sub"]), claims, Secret(id_token))

    def end_session_url(self, id_token: Secret, back: str) -> str | None:
        """Where the browser ends its session at the provider; None if there is no such place."""
        endpoint = self.metadata().get("end_session_endpoint")
        if not isinstance(endpoint, str):
            return None
        parameters = {
            "id_token_hint": id_token.reveal(),
            "client_id": self._client_id,
            "post_logout_redirect_uri": back,
        }
        return _with_query(endpoint, parameters)

    def _exchange(self, code: str, handshake: Handshake, redirect_uri: str) -> Claims:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": handshake.verifier,
        }
        document = self.metadata()
        headers: dict[str, str] = {}
        methods = document.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if self._client_secret is None:
            form["client_id"] = self._client_id
        elif "client_secret_basic" in methods:
            pair = (
                f"{quote(self._client_id, safe='')}:{quote(self._client_secret.reveal(), safe='')}"
            )
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": self._client_id, "client_secret": self._client_secret.reveal()}
        return self._ask("POST", str(document["token_endpoint"]), headers, form)

    def _verify(self, id_token: str, nonce: str) -> Claims:
        try:
            token = self._decode(id_token)
        except (JoseError, ValueError) as error:
            raise Unauthenticated(f"the provider's ID token is not valid: {error}") from error
        claims = token.claims
        now = self._clock.now() // 1000
        audience = claims.get("aud")
        audiences = cast("list[str]", audience) if isinstance(audience, list) else [audience]
        problems = {
            "it is from another issuer": str(claims.get("iss", "")).rstrip("/") != self.issuer,
            "it is for another application": self._client_id not in audiences,
            "it was made for another application": (len(audiences) > 1 or "azp" in claims)
            and claims.get("azp") != self._client_id,
            "it answers another sign-in": not secrets.compare_digest(
                str(claims.get("nonce", "")).encode(), nonce.encode()
            ),
            "it has expired; are both clocks right?": _number(claims, "exp") + LEEWAY_SECONDS < now,
            "it is from the future; are both clocks right?": _number(claims, "iat")
            > now + LEEWAY_SECONDS,
            "it names no user": not isinstance(claims.get("sub"), str) or not claims["sub"],
        }
        for problem, applies in problems.items():
            if applies:
                raise Unauthenticated(f"the provider's ID token is not valid: {problem}")
        return claims

    def _decode(self, id_token: str) -> jwt.Token:
        """Checks the signature, with the provider's present keys if it is by an unknown one."""
        try:
            return jwt.decode(id_token, self._key_set(newer=False), algorithms=list(_ALGORITHMS))
        except (JoseError, ValueError):
            return jwt.decode(id_token, self._key_set(newer=True), algorithms=list(_ALGORITHMS))

    def _key_set(self, *, newer: bool) -> KeySet:
        with self._lock:
            entry = self._keys
        if entry is not None:
            age = self._clock.monotonic() - entry[0]
            if age < (_KEYS_SECONDS if newer else _METADATA_SECONDS):
                return entry[1]
        document = self._get(str(self.metadata()["jwks_uri"]))
        offered = cast("Sequence[dict[str, Any]]", document.get("keys") or [])
        # Without keys for encryption and of kinds that are not known here.
        usable = [k for k in offered if k.get("use", "sig") == "sig" and k.get("kty") != "oct"]
        keys = KeySet.import_key_set(cast("KeySetSerialization", {"keys": usable}))
        with self._lock:
            self._keys = (self._clock.monotonic(), keys)
        return keys

    def _get(self, url: str, access_token: str = "") -> Claims:
        headers = {"authorization": f"Bearer {access_token}"} if access_token else {}
        return self._ask("GET", url, headers, None)

    def _ask(
        self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None
    ) -> Claims:
        """One request, whose answer must be a JSON object."""
        problem = f"the single sign-on provider {self.host} "
        try:
            answer = httpx.request(
                method,
                url,
                headers={"accept": "application/json", **headers},
                data=form,
                timeout=_ANSWER_SECONDS,
            )
        except httpx.HTTPError as error:
            raise ProviderUnavailable(f"{problem}does not answer: {error}") from error
        try:
            document = answer.json() if len(answer.content) <= _ANSWER_BYTES else None
        except ValueError:
            document = None
        if not isinstance(document, dict):
            path = urlsplit(url).path
            raise ProviderUnavailable(f"{problem}has no JSON at {path}: {answer.status_code}")
        claims = cast("dict[str, Any]", document)
        if answer.status_code != 200:
            reason = claims.get("error_description") or claims.get("error") or answer.status_code
            raise ProviderUnavailable(f"{problem}refuses: {reason}")
        return claims


def _number(claims: Claims, name: str) -> float:
    value = claims.get(name)
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise Unauthenticated(f"the provider's ID token is not valid: it has no {name}")
    return value


def _with_query(url: str, parameters: Mapping[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}"
