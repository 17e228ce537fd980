"""Which statements run at once, which wait for the swap, and which never run."""

from dataclasses import replace

import pytest

from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.postgresql.restore.globals import GlobalsPlan, Origin, Target, plan_globals

ORIGIN = Origin(major=15, bootstrap="source_boss")
TARGET = Target(
    major=15,
    superuser=True,
    roles=frozenset({"boss", "old"}),
    protected=frozenset({"boss", "postgres"}),
    tablespaces=frozenset({"fast"}),
)


def sorted_out(text: str, **changes: object) -> GlobalsPlan:
    return plan_globals(text, ORIGIN, replace(TARGET, **changes))


def test_new_roles_are_made_and_old_ones_wait() -> None:
    found = sorted_out(
        "CREATE ROLE new; ALTER ROLE new WITH LOGIN PASSWORD 'x;y';"
        "CREATE ROLE old; ALTER ROLE old WITH NOLOGIN;"
        "GRANT old TO new; GRANT new TO old; COMMENT ON ROLE new IS 'hm';"
    )
    assert found.made == ["new"]
    assert found.now == [
        "CREATE ROLE new",
        "ALTER ROLE new WITH LOGIN PASSWORD 'x;y'",
        "GRANT old TO new",
        "COMMENT ON ROLE new IS 'hm'",
    ]
    assert found.later == ["ALTER ROLE old WITH NOLOGIN", "GRANT new TO old"]


@pytest.mark.parametrize("role", ["boss", '"boss"', "BOSS", "postgres"])
def test_the_targets_own_admin_is_left_alone(role: str) -> None:
    found = sorted_out(
        f"CREATE ROLE {role}; ALTER ROLE {role} WITH NOLOGIN; ALTER ROLE {role} SET x TO 'y';"
        f"COMMENT ON ROLE {role} IS 'hm';"
    )
    assert found == GlobalsPlan()


def test_the_sources_bootstrap_superuser_becomes_a_shell() -> None:
    found = sorted_out("CREATE ROLE source_boss; ALTER ROLE source_boss WITH SUPERUSER LOGIN;")
    assert found.now == ["CREATE ROLE source_boss"]
    assert "source_boss" in found.notes[0]


def test_a_grantor_the_target_does_not_know_is_dropped() -> None:
    text = "CREATE ROLE new; GRANT old TO new WITH ADMIN OPTION GRANTED BY {};"
    kept = sorted_out(text.format('"granted by me"')).now[1]
    assert kept == 'GRANT old TO new WITH ADMIN OPTION GRANTED BY "granted by me"'
    assert sorted_out(text.format("source_boss")).now[1] == "GRANT old TO new WITH ADMIN OPTION"
    assert sorted_out(text.format("lead"), major=16).now[1] == "GRANT old TO new WITH ADMIN OPTION"


def test_who_is_no_superuser_does_not_name_what_only_superusers_may() -> None:
    found = sorted_out(
        "CREATE ROLE new; ALTER ROLE new WITH NOSUPERUSER LOGIN NOREPLICATION NOBYPASSRLS "
        "PASSWORD 'NOSUPERUSER x'; ALTER ROLE old WITH LOGIN;",
        superuser=False,
    )
    assert found.now[1] == "ALTER ROLE new WITH LOGIN PASSWORD 'NOSUPERUSER x'"
    assert found.later == []
    assert "old" in found.notes[0]


def test_tablespaces_are_never_made() -> None:
    found = sorted_out(
        "CREATE TABLESPACE fast OWNER old LOCATION '/x'; CREATE TABLESPACE far LOCATION '/y';"
        "GRANT CREATE ON TABLESPACE fast TO old; REVOKE ALL ON TABLESPACE far FROM old;"
        "GRANT SET ON PARAMETER work_mem TO old;"
    )
    assert found.later == [
        "GRANT CREATE ON TABLESPACE fast TO old",
        "GRANT SET ON PARAMETER work_mem TO old",
    ]
    assert found.notes == ["tablespace far is not on this server: its contents go to the default"]


@pytest.mark.parametrize(
    "text",
    [
        "DROP ROLE old;",
        "CREATE ROLE x SUPERUSER;",
        "CREATE USER x;",
        "ALTER ROLE;",
        "ALTER ROLE old RENAME TO boss;",
        "ALTER SYSTEM SET x = 'y';",
        "GRANT SELECT ON t TO old;",
        "GRANT ALL ON DATABASE main TO old;",
        "COMMENT ON DATABASE main IS 'x';",
        "DO 'x';",
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(EvidenceMissing):
        sorted_out(text)


def test_what_is_given_by_who_gets_the_right_at_the_swap_waits_too() -> None:
    seventeen = plan_globals(
        "CREATE ROLE team; CREATE ROLE a; CREATE ROLE b; CREATE ROLE c;"
        "GRANT team TO old WITH ADMIN OPTION; GRANT team TO a WITH ADMIN OPTION GRANTED BY old;"
        "GRANT team TO b GRANTED BY a; GRANT a TO c WITH ADMIN OPTION; GRANT a TO b GRANTED BY c;",
        Origin(major=17, bootstrap="source_boss"),
        replace(TARGET, major=17),
    )
    assert seventeen.later == [
        "GRANT team TO old WITH ADMIN OPTION",
        "GRANT team TO a WITH ADMIN OPTION GRANTED BY old",
        "GRANT team TO b GRANTED BY a",
    ]


def test_who_is_no_superuser_sets_only_what_he_may() -> None:
    found = sorted_out(
        "CREATE ROLE new; ALTER ROLE new WITH BYPASSRLS LOGIN; ALTER ROLE new SET work_mem TO '1';"
        "ALTER ROLE new SET log_statement TO 'all'; ALTER ROLE new SET \"app.x\" TO 'y';"
        "ALTER ROLE new SET app.y TO 'z';",
        superuser=False,
        settable=frozenset({"work_mem"}),
    )
    assert found.now[1:] == ["ALTER ROLE new WITH LOGIN", "ALTER ROLE new SET work_mem TO '1'"]
    notes = " / ".join(found.notes)
    assert all(word in notes for word in ("BYPASSRLS", "log_statement", "app.x", "app.y"))


def test_who_is_no_superuser_gives_only_what_he_administers() -> None:
    found = sorted_out(
        "CREATE ROLE new; GRANT old TO new; GRANT new TO old; GRANT mine TO new;",
        superuser=False,
        admin_of=frozenset({"mine"}),
    )
    assert found.now == ["CREATE ROLE new", "GRANT mine TO new"]
    assert found.later == ["GRANT new TO old"]
    assert "ADMIN OPTION" in found.notes[0]
