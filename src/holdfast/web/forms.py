"""A form between the browser and the API: its values, and the API's problems next to its fields."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import FormData

from holdfast.web.in_process import Answer

Fields = Mapping[str, str]
_IN_A_LIST = re.compile(r"^backupSchedules\[\d+\]\.")
"""Where the API names a schedule as one of its addon's."""


@dataclass
class Form:
    """`values` by name of the field, which is the API's own; `problems` by the same names.

    `known` are the fields that the page has: problems of others are listed above the form.
    """

    values: dict[str, str] = field(default_factory=dict[str, str])
    problems: dict[str, str] = field(default_factory=dict[str, str])
    message: str = ""
    known: Sequence[str] = ()
    lists: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    @classmethod
    def of(cls, form: FormData | Mapping[str, str], known: Sequence[str] = ()) -> "Form":
        values: dict[str, str] = {}
        lists: dict[str, list[str]] = {}
        for name, value in form.multi_items() if isinstance(form, FormData) else form.items():
            if isinstance(value, str):
                values[name] = value.strip()
                lists.setdefault(name, []).append(value.strip())
        return cls(values=values, lists=lists, known=known)

    def value(self, name: str) -> str:
        return self.values.get(name, "")

    def all(self, name: str) -> list[str]:
        """Every value of a field that may be sent several times."""
        return [value for value in self.lists.get(name, []) if value]

    def on(self, name: str) -> bool:
        """Whether a box was ticked."""
        return self.values.get(name) == "on"

    def number(self, name: str) -> int | str | None:
        """The number in a field; text that is none goes to the API, whose sentence is shown."""
        text = self.value(name)
        if not text:
            return None
        return int(text) if text.isascii() and text.lstrip("-").isdigit() else text

    def problem(self, name: str) -> str:
        return self.problems.get(name, "")

    @property
    def stray(self) -> dict[str, str]:
        """Problems of fields that the page does not have."""
        return {name: text for name, text in self.problems.items() if name not in self.known}

    def refuse(self, answer: Answer) -> "Form":
        """Takes over what the API said against it."""
        self.message = answer.message
        for name, text in answer.details.items():
            self.problems[self._nearest(name)] = text
        return self

    def fail(self, message: str, **problems: str) -> "Form":
        """Refuses it for reasons of the page's own."""
        self.message = message
        self.problems.update(problems)
        return self

    def _nearest(self, name: str) -> str:
        """The page's field for one of the API: `scheduling.minute[0]` to `scheduling.minute`."""
        name = _IN_A_LIST.sub("", name)
        candidates = [name, name.partition("[")[0], name.rpartition(".")[2].partition("[")[0]]
        return next((candidate for candidate in candidates if candidate in self.known), name)


def without_empty(body: Mapping[str, Any]) -> dict[str, Any]:
    """A request body without what was left empty, so that the API's defaults count."""
    return {name: value for name, value in body.items() if value not in ("", None, [], {})}


def split_list(text: str) -> list[str]:
    """`a, b c` to its words."""
    return text.replace(",", " ").split()


def numbers_of(text: str) -> list[int | str]:
    """`0, 15, 30` to numbers; a word that is none goes to the API, whose sentence is shown."""
    return [int(word) if word.isascii() and word.isdigit() else word for word in split_list(text)]
