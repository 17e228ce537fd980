"""Where a browser goes on after signing in, with the form that it was about to send.

Nothing of a form is lost when its session ended: its fields travel through the sign-in page, and
are shown again for the user to send. Secrets do not travel; they are typed again.
"""

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, cast
from urllib.parse import urlsplit

from holdfast.kit import ids
from holdfast.kit.clock import Clock
from holdfast.web.session import SignInNeeded

_STASH_SECONDS = 600.0
_STASHED = 200
_STASHED_CHARACTERS = 64 << 10


def safe_path(path: str) -> str:
    """The path of a page of ours; the overview for anything that leads elsewhere."""
    parsed = urlsplit(path)
    elsewhere = parsed.scheme or parsed.netloc or "\\" in path or path.startswith("//")
    control = any(ord(character) < 32 for character in path)
    return path if path.startswith("/") and not elsewhere and not control else "/"


@dataclass(frozen=True)
class GoingOn:
    """A path and, for a form that was sent to it, its fields and the names of its secrets."""

    path: str = "/"
    fields: tuple[tuple[str, str], ...] = ()
    secrets: tuple[str, ...] = ()
    is_form: bool = False

    @classmethod
    def of_error(cls, error: SignInNeeded) -> Self:
        fields, is_form = tuple(error.fields or ()), error.fields is not None
        return cls(safe_path(error.path), fields, tuple(error.secrets), is_form)

    @classmethod
    def of_form(cls, form: Mapping[str, Any]) -> Self:
        """What the sign-in page's hidden field says. Anything odd leads to the overview."""
        text = str(form.get("going_on", ""))
        return cls.of_text(text) if text else cls(safe_path(str(form.get("next", "/"))))

    @classmethod
    def of_text(cls, text: str) -> Self:
        try:
            document = cast("dict[str, Any]", json.loads(text))
            fields = tuple((str(name), str(value)) for name, value in document["fields"])
            names = tuple(str(name) for name in document["secrets"])
            return cls(safe_path(str(document["path"])), fields, names, bool(document["form"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            return cls()

    def text(self) -> str:
        return json.dumps(
            {
                "path": self.path,
                "fields": self.fields,
                "secrets": self.secrets,
                "form": self.is_form,
            }
        )


class Stash:
    """Keeps forms while their users are at a single sign-on provider. For the loop's thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: OrderedDict[str, tuple[float, GoingOn]] = OrderedDict()

    def put(self, going_on: GoingOn) -> str:
        """Returns a key. A form that is too large is forgotten, its path is not."""
        if len(going_on.text()) > _STASHED_CHARACTERS:
            going_on = GoingOn(going_on.path)
        now = self._clock.monotonic()
        while self._entries:
            oldest, (since, _) = next(iter(self._entries.items()))
            if len(self._entries) < _STASHED and now - since < _STASH_SECONDS:
                break
            del self._entries[oldest]
        key = ids.cookie()
        self._entries[key] = (now, going_on)
        return key

    def take(self, key: str) -> GoingOn:
        since, going_on = self._entries.pop(key, (0.0, GoingOn()))
        return going_on if self._clock.monotonic() - since < _STASH_SECONDS else GoingOn()
