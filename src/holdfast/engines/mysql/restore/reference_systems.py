"""Creates the spatial reference systems that columns name and the target lacks.

MySQL keeps them beside all databases, and its stock tools leave those out that users defined.
"""

from collections.abc import Callable, Iterable

from holdfast.domain.errors import RestoreDiffers
from holdfast.engines.mysql.client.connection import Session, WireError
from holdfast.engines.mysql.client.facts import Facts
from holdfast.engines.mysql.client.server_errors import error_text
from holdfast.engines.mysql.client.tools import MARIADB


def create_missing(
    session: Session, databases: Iterable[Facts], say: Callable[[str], None]
) -> None:
    """RestoreDiffers, with the statement, for one that this user may not create."""
    if MARIADB in session.banner:  # it stores the number of any
        return
    needed = {system["id"]: system for d in databases for system in d.get("referenceSystems", ())}
    rows = session.rows("SELECT srs_id FROM information_schema.st_spatial_reference_systems")
    for number in sorted(needed.keys() - {int(row[0]) for row in rows}):
        system = needed[number]
        parts = [
            f"CREATE SPATIAL REFERENCE SYSTEM IF NOT EXISTS {number}",
            f"NAME {session.literal(system['name'])}",
            f"DEFINITION {session.literal(system['definition'])}",
        ]
        if system["organization"] is not None:
            organization = session.literal(system["organization"])
            parts.append(f"ORGANIZATION {organization} IDENTIFIED BY {int(system['code'])}")
        if system["description"] is not None:
            parts.append(f"DESCRIPTION {session.literal(system['description'])}")
        statement = " ".join(parts)
        try:
            session.execute(statement)
        except WireError as error:
            problem = f"the target lacks the spatial reference system {number}"
            raise RestoreDiffers(
                f"{problem}, and it cannot be made ({error_text(error)}): {statement}"
            ) from error
        say(f"made the spatial reference system {number}, {system['name']}")
