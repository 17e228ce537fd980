"""Checks a file as SQLite itself does."""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from holdfast.domain.evidence import Check
from holdfast.engines.drill_answers import listed
from holdfast.engines.sqlite.client import tables
from holdfast.engines.sqlite.client.location import opened
from holdfast.kit.processes.guard import Guard


def check_data(path: Path, guard: Guard) -> Sequence[Check]:
    with opened(path) as session:
        release = guard.adopt(session.interrupt)
        try:
            problem = tables.find_damage(session)
            integrity = Check("integrity_check", problem is None, problem or "ok")
            # What refers to missing rows is no damage: SQLite enforces foreign keys only for an
            # application that asks for it. Whether a restore lost a row is seen by the content.
            try:
                dangling = Counter(row[0] for row in session.execute("PRAGMA foreign_key_check"))
            except sqlite3.DatabaseError as error:
                sentence = f"it cannot be run: {error}"
            else:
                words = [f"{count} of {table}" for table, count in sorted(dangling.items())]
                sentence = f"rows that refer to missing rows: {listed(words)}" if words else "ok"
            return [integrity, Check("foreign_key_check", True, sentence)]
        except sqlite3.OperationalError:
            guard.check()
            raise
        except sqlite3.DatabaseError as error:  # too damaged even to be checked
            return [Check("integrity_check", False, str(error))]
        finally:
            release()
