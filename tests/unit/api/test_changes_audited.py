"""No way to change anything goes past the audit log: all of them are the writer's."""

from collections.abc import Iterator
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from holdfast.api import app
from holdfast.http import writing

CHANGE_NOTHING = {"update_network", "update_security"}
"""They are there for the official clients: checked, and answered."""
PROBES = {"make_sample", "probe_addon", "probe_destination", "probe_platform"}
"""They ask servers, or write into stores or a file of ours, and into no row."""


def below(dependant: Dependant) -> Iterator[Any]:
    for each in dependant.dependencies:
        yield each.call
        yield from below(each)


def test_every_route_that_changes_something_is_watched() -> None:
    routes = [each for noun in app._NOUNS for each in noun.routes if isinstance(each, APIRoute)]
    changing = [each for each in routes if not each.methods <= {"GET", "HEAD"}]
    assert len(changing) > 40
    past = {each.name for each in changing if writing.writer_of not in below(each.dependant)}
    assert past == CHANGE_NOTHING | PROBES
