"""ID tokens that a provider did not make, or made for others, are refused; new keys are found."""

import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from fixtures.authenticator import encode
from holdfast.domain.errors import Unauthenticated
from holdfast.kit.clock import SystemClock
from holdfast.kit.seal import Secret
from holdfast.kit.sign_in.oidc import Handshake, Provider

HANDSHAKE = Handshake()


@dataclass
class Forger:
    """A provider that answers each code with the ID token that the test puts here."""

    url: str = ""
    id_token: str = ""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))

    def document(self, path: str) -> dict[str, Any]:
        if path.endswith("openid-configuration"):
            ends = {"authorization_endpoint": "/auth", "token_endpoint": "/token"}
            ends["jwks_uri"] = "/keys"
            return {"issuer": self.url, **{name: self.url + end for name, end in ends.items()}}
        if path == "/keys":
            return {"keys": [self.key.as_dict(private=False)]}
        return {"id_token": self.id_token}

    def claims(self, **changes: Any) -> dict[str, Any]:
        """A span of time among the changes is a moment, that far from now."""
        now = int(time.time())
        for name, change in changes.items():
            if isinstance(change, timedelta):
                changes[name] = now + int(change.total_seconds())
        claims = {"iss": self.url, "aud": "us", "sub": "mara", "iat": now, "exp": now + 60}
        merged = {**claims, "nonce": HANDSHAKE.nonce, **changes}
        return {name: value for name, value in merged.items() if value is not None}

    def sign(self, **changes: Any) -> None:
        header = {"alg": "RS256", "kid": self.key.kid}
        self.id_token = jwt.encode(header, self.claims(**changes), self.key)


@pytest.fixture
def forger() -> Iterator[Forger]:
    forger = Forger()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(forger.document(self.path)).encode())

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Says nothing."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    forger.url = f"http://127.0.0.1:{listener.server_port}"
    thread = Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield forger
    listener.shutdown()
    listener.server_close()
    thread.join()


@pytest.fixture
def provider(forger: Forger) -> Provider:
    return Provider(forger.url, "us", Secret("shared secret"), "openid", SystemClock())


def identify(provider: Provider) -> str:
    return provider.identify("code", HANDSHAKE, "http://localhost/signin/callback").subject


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"aud": ["us"]},
        {"aud": ["us", "them"], "azp": "us"},
        {"azp": "us"},
        {"exp": timedelta(seconds=-60), "iat": timedelta(seconds=-120)},
        {"iat": timedelta(seconds=60)},
    ],
)
def test_good_ones(forger: Forger, provider: Provider, changes: dict[str, Any]) -> None:
    forger.sign(**changes)
    assert identify(provider) == "mara"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "them"},
        {"aud": None},
        {"aud": []},
        {"aud": ["us", "them"]},
        {"aud": ["us", "them"], "azp": "them"},
        {"azp": "them"},
        {"nonce": "other"},
        {"nonce": None},
        {"nonce": 5},
        {"exp": 1},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": float("nan")},
        {"iat": None},
        {"iat": 1 << 40},
        {"sub": None},
        {"sub": ""},
        {"sub": 5},
    ],
)
def test_those_for_others_or_of_another_time(
    forger: Forger, provider: Provider, changes: dict[str, Any]
) -> None:
    forger.sign(**changes)
    with pytest.raises(Unauthenticated):
        identify(provider)


@pytest.mark.parametrize("algorithm", ["HS256", "none", "foreign"])
def test_those_that_the_provider_did_not_sign(
    forger: Forger, provider: Provider, algorithm: str
) -> None:
    if algorithm == "foreign":
        stranger = RSAKey.generate_key(2048, {"kid": "one"})
        forger.id_token = jwt.encode({"alg": "RS256", "kid": "one"}, forger.claims(), stranger)
    else:
        header = json.dumps({"alg": algorithm, "kid": "one"}).encode()
        signed = f"{encode(header)}.{encode(json.dumps(forger.claims()).encode())}"
        public = forger.key.as_pem(private=False)
        signature = hmac.digest(public, signed.encode(), "sha256") if algorithm == "HS256" else b""
        forger.id_token = f"{signed}.{encode(signature)}"
    with pytest.raises(Unauthenticated):
        identify(provider)


def test_a_new_key_is_found_when_the_old_one_does_not_fit(forger: Forger) -> None:
    clock = SystemClock()
    moved = [0.0]
    clock.monotonic = lambda: time.monotonic() + moved[0]  # type: ignore[method-assign]
    provider = Provider(forger.url, "us", None, "openid", clock)
    forger.sign()
    assert identify(provider) == "mara"
    forger.key = RSAKey.generate_key(2048, {"kid": "two"})
    forger.sign()
    moved[0] = 6.0
    assert identify(provider) == "mara"
