"""Secrets: sealed at rest, never printed, taken out of what others say."""

import base64
import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.errors import SealBroken
from holdfast.kit.redact import redact
from holdfast.kit.seal import Sealer, Secret, new_key
from holdfast.kit.sign import Signer
from holdfast.kit.telemetry import logs

KEY = bytes(range(32))
WORD = "Zq7xW9kLpT2m"


@given(st.text(), st.text())
def test_what_was_sealed_opens_in_its_own_place_only(secret: str, context: str) -> None:
    try:
        secret.encode(), context.encode()
    except UnicodeEncodeError:
        return
    sealer = Sealer(KEY)
    sealed = sealer.seal(Secret(secret), context)
    assert sealer.open(sealed, context).reveal() == secret
    assert sealer.seal(Secret(secret), context) != sealed, "a nonce was used twice"
    with pytest.raises(SealBroken):
        sealer.open(sealed, f"{context}x")
    with pytest.raises(SealBroken):
        Sealer(new_key()).open(sealed, context)


@given(st.data())
def test_a_damaged_seal_does_not_open(data: st.DataObject) -> None:
    sealed = Sealer(KEY).seal(Secret(WORD), "here")
    raw = bytearray(base64.urlsafe_b64decode(sealed.partition(":")[2]))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealBroken):
        Sealer(KEY).open(f"v1:{base64.urlsafe_b64encode(bytes(raw)).decode()}", "here")


@pytest.mark.parametrize("text", ["", "v1:", "v2:AAAA", "v1:!!!", "v1:AA", "nonsense", "v1:ü"])
def test_what_is_no_seal_says_so_without_repeating_it(text: str) -> None:
    with pytest.raises(SealBroken, match="of here could not be opened"):
        Sealer(KEY).open(text, "here")


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Secret(WORD)
    shown = [str(secret), repr(secret), f"{secret}", f"{[secret]}", "%s" % secret]  # noqa: UP031
    assert not any(WORD in text for text in shown)
    with pytest.raises(TypeError):
        json.dumps(secret)
    assert secret == Secret(WORD) != Secret("other")
    assert secret != WORD


TEXTS = [
    "connecting to postgresql://user:{}@host:5432/db failed",
    "redis://:{}@host",
    '{{"url": "https://u:{}@h/x", "n": 1}}',
    "Authorization: Bearer {}",
    "authorization: Basic {}",
    "password={} host=x",
    'password = "{}"',
    "password='a {}' host=x",
    '{{"password": "{}", "user": "u"}}',
    "PGPASSWORD={}",
    "aws_secret_access_key={}",
    "secret_key: {}",
    '"secretKey": "{}"',
    "X-Amz-Signature={}&x=1",
    "?signature={}",
    "api_token={}",
    "master_key={}",
    "token hft_{}",
]


@pytest.mark.parametrize("text", TEXTS)
@given(tail=st.text("abcXYZ019-_", max_size=8))
def test_secrets_in_what_others_say_are_masked(text: str, tail: str) -> None:
    assert WORD not in redact(text.format(WORD + tail))


@pytest.mark.parametrize("secret", [f"p@{WORD}", f"{WORD}@x", f"a/{WORD}", f"a:{WORD}#?"])
def test_a_password_with_signs_in_an_address_is_masked_whole(secret: str) -> None:
    shown = redact(f"could not reach postgresql://u:{secret}@db.example:5432/x now")
    assert WORD not in shown
    assert "db.example:5432/x now" in shown


@pytest.mark.parametrize(
    "text",
    [
        "password authentication failed for user x",
        "https://host:8080/path",
        "the token lacks a permission",
        "12 checks passed",
        "secrets are sealed",
        "basic checks passed",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert redact(text) == text


@pytest.fixture
def logging_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.usefixtures("logging_restored")
def test_logs_hold_no_secret(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO", form)
    log = logging.getLogger("x")
    log.info("sent", extra={"secret": Secret(WORD), "deep": {"list": [Secret(WORD)]}})
    log.warning("reached %s", f"postgresql://u:{WORD}@h/d")
    log.info("kept", extra={"url": f"s3://a:{WORD}@h", "all": (f"password={WORD}",)})
    try:
        raise ValueError(f"bearer {WORD}")
    except ValueError:
        log.exception("failed")
    said = capsys.readouterr().err
    assert "sent" in said
    assert "failed" in said
    assert "ValueError" in said
    assert WORD not in said


@given(st.text(), st.integers(0, 10**13), st.integers(0, 10**13))
def test_a_signature_is_good_for_its_subject_until_it_expires(
    subject: str, expires: int, now: int
) -> None:
    try:
        subject.encode()
    except UnicodeEncodeError:
        return
    signer = Signer(KEY, "download")
    signature = signer.sign(subject, expires)
    assert signer.valid(subject, expires, signature, now) == (now < expires)
    assert not signer.valid(f"{subject}x", expires, signature, 0)
    assert not signer.valid(subject, expires + 1, signature, 0)
    assert not signer.valid(subject, expires, f"{signature[:-1]}ü", 0)
    assert not Signer(KEY, "upload").valid(subject, expires, signature, 0)
