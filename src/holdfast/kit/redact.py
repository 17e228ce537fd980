"""Masks secrets in text that is about to be shown: the last line of defence, not the first.

Our own secrets are `Secret` values and never formatted; this catches what foreign programs and
libraries say about connections, signatures and headers.
"""

import re

MASK = "********"

_VALUE = r"""(?:(?<=")[^"]+|(?<=')[^']+|[^\s"',&}]+)"""
"""The value after a name: up to the closing quote, or one word."""

_PATTERNS = [
    # Up to the last @: a password may hold one.
    re.compile(r"""(?P<keep>\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s"']+(?P<rest>@)""", re.IGNORECASE),
    re.compile(r"(?P<keep>\bbearer\s+)[^\s\"',]+(?P<rest>)", re.IGNORECASE),
    re.compile(r"(?P<keep>\bauthorization\W{1,4}\w+\s+)[^\s\"',]+(?P<rest>)", re.IGNORECASE),
    re.compile(
        r"(?P<keep>(?:password|passwd|signature|secret|secret_?(?:access_?)?key|master_?key"
        rf"|api_?(?:token|key))[\"']?\s*[=:]\s*[\"']?){_VALUE}(?P<rest>)",
        re.IGNORECASE,
    ),
    re.compile(r"(?P<keep>\bhf[tp]_)[A-Za-z0-9_-]{8,}(?P<rest>)"),
]


def redact(text: str) -> str:
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<keep>{MASK}\g<rest>", text)
    return text
