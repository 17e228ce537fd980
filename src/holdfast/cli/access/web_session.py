"""`holdfast session`: lists and ends the sessions of browsers."""

from itertools import islice
from typing import Annotated

import typer

from holdfast.cli.session.options import Force, Limit
from holdfast.cli.session.session import Session
from holdfast.cli.session.verbs import noun, verb
from holdfast.cli.terminal import prompts

app = noun("Signed-in browsers.")


@verb(app, "list", "holdfast session list")
def show(session: Session, limit: Limit = None) -> None:
    """List the sessions: whose, from where, how signed in."""
    with session.client() as client:
        sessions = list(islice(client.sessions.list(), limit))
    columns = {"ID": "id", "BY": "by", "SIGNED IN WITH": "method", "ADDRESS": "address"}
    more = {"PROGRAM": "program", "SINCE": "createdAt", "LAST SEEN": "lastSeenAt"}
    session.printer.rows(sessions, {**columns, **more})


@verb(app, "revoke", "holdfast session revoke 65a1f0c2b3d4e5f6a7b8c9d0 --force")
def revoke(
    session: Session,
    session_id: Annotated[str, typer.Argument(metavar="SESSION_ID", help="See `session list`.")],
    force: Force = False,
) -> None:
    """End a session at once: that browser has to sign in again."""
    prompts.confirm(f"End the session {session_id}?", force=force)
    with session.client() as client:
        client.sessions.end(session_id)
    session.printer.done(f"ended session {session_id}")
