"""Takes secrets out of text that is about to be seen: the last line of defence, not the first.

What is secret is kept in `Secret` and never formatted; this catches what foreign programs and
libraries say about connections, signatures and headers.
"""

import re

MASK = "********"

_PATTERNS = [
    re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@]+(?P<rest>@)", re.IGNORECASE),
    re.compile(r"(?P<keep>\bbearer\s+)[^\s\"',]+(?P<rest>)", re.IGNORECASE),
    re.compile(
        r"(?P<keep>\b(?:password|passwd|pgpassword|secret_?key|secret|api_?token|signature)"
        r"[\"']?\s*[=:]\s*[\"']?)[^\s\"',&}]+(?P<rest>)",
        re.IGNORECASE,
    ),
    re.compile(r"(?P<keep>\bhft_)[A-Za-z0-9_-]{8,}(?P<rest>)"),
]


def redact(text: str) -> str:
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<keep>{MASK}\g<rest>", text)
    return text
