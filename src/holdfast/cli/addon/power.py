"""`holdfast addon pause|resume|restart|reset`, and waiting for an addon's state."""

from dataclasses import dataclass
from typing import Annotated

import typer

from holdfast.cli.session.options import Force, InAddon, Waiting
from holdfast.cli.session.session import Session
from holdfast.cli.session.verbs import verb
from holdfast.cli.terminal import prompts
from holdfast.cli.terminal.problems import OperationFailed
from holdfast.cli.terminal.progress import watching
from holdfast.client import Client
from holdfast.client.models.models import Addon


@dataclass(frozen=True)
class OneAddon(InAddon):
    """The addon of a verb, as an argument or as an option."""

    target: Annotated[str | None, typer.Argument(metavar="[ADDON]", help="Addon id.")] = None

    def of(self, session: Session) -> tuple[str, str]:
        return InAddon(self.project, self.target or self.addon).of(session)

    def named(self, session: Session) -> tuple[str, str]:
        """Returns the addon named as an argument: no default is enough for verbs that destroy."""
        if not self.target:
            raise typer.BadParameter("name the addon as an argument")
        return self.of(session)


def settle(
    session: Session,
    client: Client,
    names: tuple[str, str],
    waiting: Waiting,
    state: str = "running",
    addon: Addon | None = None,
) -> None:
    """Prints the addon; with --wait it waits for the state first, and raises for another one."""
    if waiting.wait:
        with watching(names[1]) as listener:
            addon = client.wait_for_addon(*names, (state,), waiting.patience(), listener)
    elif addon is None:
        addon = client.addons.get(*names)
    session.printer.record(addon)
    if waiting.wait and addon.status != state:
        reason = f": {addon.reason}" if addon.reason else ""
        raise OperationFailed(f"the addon {addon.id} is {addon.status}{reason}")


def pause(session: Session, one: OneAddon, waiting: Waiting) -> None:
    """Stop an addon's server; its data stays."""
    which = one.of(session)
    with session.client() as client:
        client.addons.pause(*which)
        settle(session, client, which, waiting, "paused")


def resume(session: Session, one: OneAddon, waiting: Waiting) -> None:
    """Start a paused addon's server again."""
    which = one.of(session)
    with session.client() as client:
        client.addons.resume(*which)
        settle(session, client, which, waiting, "running")


def restart(session: Session, one: OneAddon, waiting: Waiting) -> None:
    """Stop and start an addon's server."""
    which = one.of(session)
    with session.client() as client:
        client.addons.restart(*which)
        settle(session, client, which, waiting, "running")


def reset(session: Session, one: OneAddon, waiting: Waiting, force: Force = False) -> None:
    """Wipe an addon's data; how to connect to it stays the same."""
    which = one.named(session)
    prompts.confirm(f"Wipe all data of the addon {which[1]}?", force=force)
    with session.client() as client:
        client.addons.reset(*which)
        settle(session, client, which, waiting, "running")


def register(app: typer.Typer) -> None:
    verb(app, "pause", "holdfast addon pause orders --project shop --wait")(pause)
    verb(app, "resume", "holdfast addon resume orders --project shop --wait")(resume)
    verb(app, "restart", "holdfast addon restart orders --project shop --wait")(restart)
    verb(app, "reset", "holdfast addon reset orders --project shop --force --wait")(reset)
