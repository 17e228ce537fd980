"""A missing or different master key is noticed at the start, and nothing new is sealed."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import delete

from holdfast.bootstrap import Parts, make_owner
from holdfast.catalog.schema import Destination, MasterKey
from holdfast.domain.errors import MasterKeyMissing, MasterKeyWrong
from holdfast.kit.seal import Secret
from holdfast.settings import Settings

KEPT, OTHER = Secret("11" * 32), Secret("22" * 32)
Machine = Callable[[str, Secret | None], Parts]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """`machine(name, key)`: one of a fleet that shares a catalogue, each with its own directory."""

    def start(name: str, key: Secret | None) -> Parts:
        (tmp_path / name).mkdir(exist_ok=True)
        url = f"sqlite:///{tmp_path}/catalog.db"
        parts = Parts(
            Settings(data_dir=tmp_path / name, database_url=url, queue="table", master_key=key)
        )
        make_owner(parts)
        return parts

    return start


def seal_something(parts: Parts) -> None:
    with parts.catalog.write() as session:
        session.add(
            Destination(
                id="offsite", name="Offsite", kind="s3", prefix="", options={},
                sealed_secret=parts.sealer.seal(Secret("key"), "destination offsite"),
                created=1, updated=1,
            )
        )  # fmt: skip


def test_a_machine_without_the_key_makes_none_of_its_own(machine: Machine) -> None:
    seal_something(machine("one", KEPT))
    second = machine("two", None)
    with pytest.raises(MasterKeyMissing, match="HOLDFAST_MASTER_KEY"):
        _ = second.master
    assert not (second.settings.data_dir / "master.key").exists()


def test_a_machine_with_another_key_is_refused(machine: Machine) -> None:
    seal_something(machine("one", KEPT))
    with pytest.raises(MasterKeyWrong, match=r"master\.key"):
        _ = machine("two", OTHER).master
    assert machine("three", KEPT).master == bytes.fromhex("11" * 32)


def test_a_catalogue_that_kept_no_proof_is_asked_for_its_secrets(machine: Machine) -> None:
    first = machine("one", KEPT)
    seal_something(first)
    with first.catalog.write() as session:
        session.execute(delete(MasterKey))
    with pytest.raises(MasterKeyMissing):
        _ = machine("two", None).master
    with pytest.raises(MasterKeyWrong):
        _ = machine("two", OTHER).master
    assert machine("one", KEPT).master == machine("three", KEPT).master


def test_the_first_start_makes_a_key_and_the_second_finds_it(machine: Machine) -> None:
    made = machine("one", None).master
    assert machine("one", None).master == made
    (machine("one", None).settings.data_dir / "master.key").unlink()
    with pytest.raises(MasterKeyMissing):
        _ = machine("one", None).master
