"""Words for what drills find: answers to assertions, what stopped them, lists of names."""

from collections.abc import Sequence
from numbers import Number

from holdfast.contracts.drills import Assertion
from holdfast.domain.evidence import Check

_UNTRUE_TEXTS = ("", "0", "f", "false")
_MAX_SHOWN_CHARACTERS = 200
_MAX_NAMED = 5

NO_ROW = "it gives no answer: the result has no row"
NO_VALUE = "it gives no answer: the result has no value"
SEVERAL = "it asks several things: an assertion is one statement"


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return f"{'; '.join(names[:_MAX_NAMED])}{more}"


def answered(assertion: Assertion, value: object) -> Check:
    """The check of an assertion with its first value."""
    if isinstance(value, bytes):
        value = value.decode(errors="backslashreplace")
    if value is None:
        return _check(assertion, False, "the answer is NULL")
    text = str(value)
    is_true = (
        bool(value)
        if isinstance(value, bool | Number)
        else text.strip().lower() not in _UNTRUE_TEXTS
    )
    if len(text) > _MAX_SHOWN_CHARACTERS:
        text = f"{text[:_MAX_SHOWN_CHARACTERS]} ..."
    return _check(assertion, is_true, f"the answer is {text or 'an empty text'}")


def stopped(assertion: Assertion, reason: str) -> Check:
    """The check of an assertion without an answer."""
    return _check(assertion, False, reason)


def too_long(assertion: Assertion) -> Check:
    return stopped(assertion, f"it takes longer than {assertion.seconds:g} seconds: it was stopped")


def writes(assertion: Assertion, message: str) -> Check:
    return stopped(assertion, f"it writes, and was stopped: {message}")


def reaches_out(assertion: Assertion, message: str) -> Check:
    """For what goes beyond reading data: files, programs, settings, other users' rights."""
    return stopped(assertion, f"it reaches beyond the data, and was stopped: {message}")


def fails(assertion: Assertion, message: str) -> Check:
    return stopped(assertion, f"it fails: {message}")


def invalid(assertion: Assertion, message: str) -> Check:
    return stopped(assertion, f"it is no valid statement: {message}")


def _check(assertion: Assertion, passed: bool, words: str) -> Check:
    return Check(f"assertion {assertion.name}", passed, words)
