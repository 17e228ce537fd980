"""Posts to a URL that an owner chose, and tells what was answered.

As `kit.fetch`: the connection goes to the very address that was checked. Redirects are not
followed: a message is for the address that was named.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import httpcore

from holdfast.domain.errors import Permanent, Temporary
from holdfast.kit.fetch import OWNERS_CHOICE, CheckedBackend, Rules, require_url, translated

_TIMEOUT_SECONDS = 10.0
_MAX_ANSWER_BYTES = 2_000
_SHOWN_CHARACTERS = 300
_AGAIN = {408, 425, 429}


@dataclass(frozen=True)
class Answer:
    """`text`: the beginning of the body, on one line."""

    status: int
    text: str

    def __str__(self) -> str:
        return f"{self.status} {self.text}".strip()


def post(
    url: str, body: bytes, headers: Mapping[str, str], *, rules: Rules = OWNERS_CHOICE
) -> Answer:
    """What was answered to the POST, if that was a success.

    Raises Temporary if it may succeed later, Permanent if it will not; both say what was answered.
    """
    require_url(url)
    own = {"User-Agent": "holdfast", "Accept": "*/*", "Accept-Encoding": "identity"}
    sent = [(name.encode(), value.encode()) for name, value in {**own, **headers}.items()]
    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), _TIMEOUT_SECONDS)
    with (
        translated(url),
        httpcore.ConnectionPool(
            ssl_context=ssl.create_default_context(), network_backend=CheckedBackend(rules)
        ) as pool,
        pool.stream(
            "POST", url, headers=sent, content=body, extensions={"timeout": timeouts}
        ) as response,
    ):
        content = b""
        for chunk in response.iter_stream():
            content += chunk
            if len(content) >= _MAX_ANSWER_BYTES:
                break
    text = " ".join(content[:_MAX_ANSWER_BYTES].decode("utf-8", "replace").split())
    answer = Answer(response.status, text[:_SHOWN_CHARACTERS])
    if 200 <= answer.status < 300:
        return answer
    if 300 <= answer.status < 400:
        raise Permanent(f"answered {answer.status}: redirects are not followed; name the address")
    failure = Temporary if answer.status >= 500 or answer.status in _AGAIN else Permanent
    raise failure(f"answered {answer}")
