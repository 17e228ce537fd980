"""Makes views although the owner of what they look at is gone, or may not look there.

A server opens the views and functions that a new view names, with the rights of their definers. It
takes a new view all the same while those have the rights of whoever uses them. So they have these
for a moment; then each gets back what it had, those that others look at last.
"""

from collections.abc import Callable, Sequence

from holdfast.engines.mysql.client.connection import Session, WireError, name
from holdfast.engines.mysql.dump.stored_code import Code, Refused, make_one
from holdfast.engines.mysql.restore import definers

_FUNCTIONS = """
SELECT routine_name FROM information_schema.routines
 WHERE routine_schema = %s AND routine_type = 'FUNCTION' AND security_type = 'DEFINER'
"""


def make_all(
    session: Session, views: Sequence[Code], target_of: Callable[[str], str]
) -> Sequence[Refused]:
    """Makes all views, some of which may be there; returns those that are not takable at all."""
    functions = _functions(session, {target_of(view.database) for view in views})
    _secure(session, functions, "INVOKER")
    created: list[Code] = []
    refused: list[Refused] = _in_rounds(session, views, target_of, created)
    for view in reversed(created):
        problem = make_one(session, definers.replacing(view), target_of)
        if problem is not None:
            session.execute(
                f"DROP VIEW IF EXISTS {name(target_of(view.database))}.{name(view.name)}"
            )
            refused.append(Refused(view, problem.why))
    _secure(session, functions, "DEFINER")
    return refused


def _in_rounds(
    session: Session, views: Sequence[Code], target_of: Callable[[str], str], created: list[Code]
) -> list[Refused]:
    """Makes them with the rights of whoever uses them; adds to `made` in the order of making."""
    waiting: Sequence[Code] = views
    refused: list[Refused] = []
    while waiting:
        refused = []
        for view in waiting:
            session.execute(
                f"DROP VIEW IF EXISTS {name(target_of(view.database))}.{name(view.name)}"
            )
            problem = make_one(session, definers.invoked(view), target_of)
            if problem is None:
                created.append(view)
            else:
                refused.append(Refused(view, problem.why))
        if len(refused) == len(waiting):
            break
        waiting = [problem.code for problem in refused]
    return refused


def _functions(session: Session, databases: set[str]) -> list[str]:
    return [
        f"{name(database)}.{name(str(row[0]))}"
        for database in sorted(databases)
        for row in session.rows(_FUNCTIONS, [database])
    ]


def _secure(session: Session, functions: Sequence[str], rights: str) -> None:
    for function in functions:
        try:
            session.execute(f"ALTER FUNCTION {function} SQL SECURITY {rights}")
        except WireError as error:
            if error.args[0] != _NO_SUCH_ROUTINE:
                raise


_NO_SUCH_ROUTINE = 1305
