"""Users of a machine for managed servers: each has its own, and gives it back when it is gone."""

import pwd
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.in_process_installation import InProcessInstallation
from holdfast.catalog import addons
from holdfast.catalog.schema import Addon, Project
from holdfast.domain.addon import NEIGHBOURS
from holdfast.domain.errors import Permanent
from holdfast.kit.seal import Secret
from holdfast.usecases.hosting import managed_servers
from holdfast.usecases.toolbox import Toolbox, home_of, server_of
from holdfast.views import addons as views


@pytest.fixture
def tools(installation: InProcessInstallation, tmp_path: Path) -> Toolbox:
    return replace(installation.toolbox, data_dir=tmp_path, server_uids=range(65_400, 65_402))


@pytest.fixture
def new_managed(
    installation: InProcessInstallation, tools: Toolbox, new_addon: Callable[[], int]
) -> Callable[..., Addon]:
    def make(project: int | None = None) -> Addon:
        pk = new_addon()
        with installation.catalog.write() as session:
            row = session.get_one(Addon, pk)
            row.managed, row.node = True, tools.node
            row.id = f"addon-{pk}"
            row.project_pk = row.project_pk if project is None else project
            row.sealed_password = tools.sealer.seal(Secret("s3cr3t"), addons.context(row.uid))
        home_of(tools.data_dir, row.uid).mkdir(parents=True)
        with installation.catalog.read() as session:
            found = session.get_one(Addon, pk)
            session.expunge_all()
        return found

    return make


def test_each_gets_one_of_its_own_until_there_are_none(
    installation: InProcessInstallation, tools: Toolbox, new_managed: Callable[..., Addon]
) -> None:
    made = [new_managed() for _ in range(3)]
    for addon in made[:2]:
        managed_servers.assign_uid(tools, addon)
        managed_servers.assign_uid(tools, addon)
    assert [server_of(tools, addon).uid for addon in made[:2]] == [65_400, 65_401]
    with pytest.raises(Permanent, match="HOLDFAST_SERVER_UIDS"):
        managed_servers.assign_uid(tools, made[2])
    with installation.catalog.write() as session:
        managed_servers.vacate(session, made[0])
    managed_servers.assign_uid(tools, made[2])
    assert made[2].server_uid == 65_400


def test_nobody_of_the_machine_has_it(
    tools: Toolbox, new_managed: Callable[..., Addon], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Services may have users that are in no list."""
    entry = pwd.getpwuid(0)

    def known(uid: int) -> pwd.struct_passwd:
        if uid in (0, 65_400):
            return entry
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", known)
    addon = new_managed()
    managed_servers.assign_uid(tools, addon)
    assert addon.server_uid == 65_401


def test_who_shares_a_user_with_strangers_is_told(
    installation: InProcessInstallation,
    tools: Toolbox,
    new_managed: Callable[..., Addon],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tools = replace(tools, server_uids=None)
    monkeypatch.setattr(views, "is_unprivileged", lambda: True)
    one = new_managed()
    same = new_managed(one.project_pk)
    log = home_of(tools.data_dir, one.uid) / "server.log"
    managed_servers.assign_uid(tools, one)
    assert not log.exists()
    new_managed()
    managed_servers.assign_uid(tools, one)
    assert NEIGHBOURS in log.read_text()
    with installation.catalog.read() as session:
        project = session.get_one(Project, one.project_pk)
        shown = views.view(session, project, session.get_one(Addon, same.pk), "team")
    assert shown.reason == NEIGHBOURS
