"""Groups of options that many commands share: project and addon, waiting, log lines."""

from dataclasses import dataclass
from typing import Annotated

import typer

from holdfast.cli.session.session import Session
from holdfast.client import LogQuery, Patience

Limit = Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Only the newest N.")]
Force = Annotated[bool, typer.Option("--force", "--yes", "-y", help="Do not ask for confirmation.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
EvenLast = Annotated[
    bool, typer.Option("--force", help="Do not ask, and delete even the addon's last good backup.")
]

_Project = Annotated[
    str | None,
    typer.Option(
        "--project", "-p", envvar="HOLDFAST_PROJECT", help="Project id; default: the context's."
    ),
]
_Addon = Annotated[
    str | None,
    typer.Option(
        "--addon", "-a", envvar="HOLDFAST_ADDON", help="Addon id; default: the context's."
    ),
]


def _needed(option: str, value: str | None) -> str:
    if not value:
        raise typer.BadParameter(
            f"give {option}, or set it once with `holdfast context use {option} ID`"
        )
    return value


@dataclass(frozen=True)
class InProject:
    project: _Project = None

    def of(self, session: Session) -> str:
        return _needed("--project", self.project or session.effective().project)


@dataclass(frozen=True)
class InAddon:
    project: _Project = None
    addon: _Addon = None

    def of(self, session: Session) -> tuple[str, str]:
        context = session.effective()
        project = _needed("--project", self.project or context.project)
        return project, _needed("--addon", self.addon or context.addon)


@dataclass(frozen=True)
class Waiting:
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end and show progress.")] = (
        False
    )
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=0, help="Wait no longer than SECONDS.")
    ] = None

    def patience(self) -> Patience:
        return Patience(timeout=self.timeout)


@dataclass(frozen=True)
class Lines:
    follow: Annotated[bool, typer.Option("--follow", help="Go on with new lines.")] = False
    lines: Annotated[int | None, typer.Option("--lines", min=1, help="At most N lines.")] = None
    since: Annotated[
        str | None, typer.Option("--since", help="Start: an RFC 3339 time or `30m`, `2h`, `1d`.")
    ] = None
    contains: Annotated[str | None, typer.Option("--contains", help="Only with this text.")] = None

    def query(self) -> LogQuery:
        since, seconds = self.since, None
        if since and since[:-1].isdecimal() and since[-1] in _SECONDS:
            since, seconds = None, int(since[:-1]) * _SECONDS[since[-1]]
        return LogQuery(start=since, duration=seconds, lines=self.lines, contains=self.contains)


_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
