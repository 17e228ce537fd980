"""The faulty store of other tests fails exactly when told, and the law notices."""

import pytest

from fakes.stores import FaultyStore
from holdfast.conformance.store import STEPS, check_store
from holdfast.domain.errors import StoreRefused, StoreUnavailable
from holdfast.stores.memory.driver import MemoryStore
from holdfast.stores.memory.options import Options


def memory() -> MemoryStore:
    return MemoryStore(Options())


def test_without_faults_it_is_a_store() -> None:
    assert check_store(FaultyStore(memory()), "scratch/").clean


@pytest.mark.parametrize(
    ("method", "step"),
    [
        ("begin", "write"),
        ("write", "write"),
        ("commit", "write"),
        ("get", "read-back"),
        ("read", "read-back"),
        ("stat", "stat"),
        ("list", "list"),
        ("clear", "abort"),
        ("delete", "missing"),
    ],
)
def test_the_law_stops_at_the_failing_step_and_tidies_up(method: str, step: str) -> None:
    inner = memory()
    store = FaultyStore(inner, **{method: [StoreRefused("not today")]})

    report = check_store(store, "scratch/")

    assert not report.clean
    assert report.broken is not None
    assert (report.broken.name, report.broken.detail) == (step, "not today")
    assert [each.name for each in report.steps][-1] == step
    assert store.unused() == {}
    assert inner.objects == {}
    assert inner.unfinished == {}


def test_every_step_of_the_law_can_fail() -> None:
    """A store that breaks one promise is caught by the step named after it."""
    caught = {
        "write": Liar(write_extra=True),
        "read-back": Liar(get_empty=True),
        "list": Liar(list_backwards=True),
        "invisible-until-commit": Liar(visible_early=True),
        "abort": Liar(abort_nothing=True),
        "abort ": Liar(hide_unfinished=True),
        "delete": Liar(delete_nothing=True),
        "clear": Liar(clear_half=True),
    }
    assert {name.strip() for name in caught} <= {name for name, _ in STEPS}
    for name, liar in caught.items():
        report = check_store(liar, "scratch/")
        assert report.broken is not None, name
        assert report.broken.name == name.strip()


def test_a_fault_may_be_something_to_do() -> None:
    done: list[str] = []
    store = FaultyStore(memory(), stat=[None, lambda: done.append("now"), StoreUnavailable()])
    store.begin("key").commit()
    store.stat("key")
    assert done == []
    store.stat("key")
    assert done == ["now"]
    assert len(store.unused()["stat"]) == 1


class Liar(MemoryStore):
    """A memory store that does not do what it owes."""

    def __init__(self, **lies: bool) -> None:
        super().__init__(Options())
        self.lies = lies

    def begin(self, key):
        upload = super().begin(key)
        if self.lies.get("write_extra"):
            upload.write(b"extra")
        if self.lies.get("visible_early") and key in self.objects:
            commit, abort = upload.commit, upload.abort
            real = upload.write
            upload.write = lambda data: (real(data), commit())
            upload.abort = abort
        if self.lies.get("abort_nothing") and "aborted" in key:
            upload.abort = upload.commit
        return upload

    def get(self, key, start=0, end=None):
        return iter(()) if self.lies.get("get_empty") else super().get(key, start, end)

    def list(self, prefix, *, unfinished=False):
        if unfinished and self.lies.get("hide_unfinished"):
            return iter(())
        found = list(super().list(prefix, unfinished=unfinished))
        return iter(found[::-1] if self.lies.get("list_backwards") else found)

    def delete(self, key):
        if not self.lies.get("delete_nothing"):
            super().delete(key)

    def clear(self, prefix):
        if self.lies.get("clear_half") and "aborted" not in prefix:
            self.objects.popitem()
            return 1
        return super().clear(prefix)
