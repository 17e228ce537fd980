"""Creates views whose objects have a definer that is gone or lacks rights.

A server opens the views and functions that a new view names, with the rights of their definers. It
accepts the new view if those run with the rights of their user. So they do for a moment; then each
gets its own definer back, in the reverse order of creation.
"""

from collections.abc import Callable, Sequence

from holdfast.engines.mysql.client.connection import Session, WireError, quote_qualified
from holdfast.engines.mysql.dump.stored_code import Code, Refused, create
from holdfast.engines.mysql.restore import definers

_FUNCTIONS = """
SELECT routine_name FROM information_schema.routines
 WHERE routine_schema = %s AND routine_type = 'FUNCTION' AND security_type = 'DEFINER'
"""


def create_views(
    session: Session, views: Sequence[Code], target_of: Callable[[str], str]
) -> Sequence[Refused]:
    """Creates all views, some of which may exist; returns those that the server refuses."""
    functions = [
        quote_qualified(database, str(row[0]))
        for database in sorted({target_of(view.database) for view in views})
        for row in session.rows(_FUNCTIONS, [database])
    ]
    _set_security(session, functions, "INVOKER")
    created: list[Code] = []
    refused: list[Refused] = _create_as_invoker(session, views, target_of, created)
    for view in reversed(created):
        problem = create(session, definers.as_replacement(view), target_of)
        if problem is not None:
            session.execute(
                f"DROP VIEW IF EXISTS {quote_qualified(target_of(view.database), view.name)}"
            )
            refused.append(Refused(view, problem.error))
    _set_security(session, functions, "DEFINER")
    return refused


def _create_as_invoker(
    session: Session, views: Sequence[Code], target_of: Callable[[str], str], created: list[Code]
) -> list[Refused]:
    """Creates views with the rights of their user; appends to `created` in order of creation."""
    waiting: Sequence[Code] = views
    refused: list[Refused] = []
    while waiting:
        refused = []
        for view in waiting:
            session.execute(
                f"DROP VIEW IF EXISTS {quote_qualified(target_of(view.database), view.name)}"
            )
            problem = create(session, definers.with_invoker_rights(view), target_of)
            if problem is None:
                created.append(view)
            else:
                refused.append(Refused(view, problem.error))
        if len(refused) == len(waiting):
            break
        waiting = [problem.code for problem in refused]
    return refused


def _set_security(session: Session, functions: Sequence[str], rights: str) -> None:
    for function in functions:
        try:
            session.execute(f"ALTER FUNCTION {function} SQL SECURITY {rights}")
        except WireError as error:
            if error.args[0] != _NO_SUCH_ROUTINE:
                raise


_NO_SUCH_ROUTINE = 1305
