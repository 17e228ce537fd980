"""Who can write to the store puts another dump in place of ours: nothing of it is loaded."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.attached import Attached, Own
from fixtures.fleet import files_below
from fixtures.holdfast import Api, Server, await_that


def _stored(server: Server, backup: str) -> list[Path]:
    """The files of one dump in the platform's store."""
    stored = files_below(server.data_dir / "store")
    found = [each for each in stored if f"/{backup}/" in str(each)]
    assert found, "where are the objects?"
    return found


@pytest.mark.parametrize("what", ["member", "manifest", "swapped"])
def test_a_dump_that_was_replaced_is_not_restored(
    server: Server,
    api: Api,
    attached: Attached,
    backup: str,
    attach_one: Callable[..., Attached],
    empty_postgres: Own,
    what: str,
) -> None:
    target = attach_one(attached.project, own=empty_postgres)
    before = empty_postgres.postgres.run("SELECT datname FROM pg_database ORDER BY 1")
    uid = api.get(f"{attached.path}/backups/{backup}").data["uid"]
    files = sorted(_stored(server, uid), key=lambda path: path.stat().st_size)
    manifest = next(each for each in files if "manifest" in each.name)
    members = [each for each in files if each != manifest]
    if what == "manifest":
        manifest.write_bytes(manifest.read_bytes().replace(b'"', b" ", 1))
    elif what == "member":
        content = bytearray(members[-1].read_bytes())
        content[len(content) // 2] ^= 1
        members[-1].write_bytes(content)
    else:
        members[0].write_bytes(members[-1].read_bytes())
    path = f"{target.path}/backups/{backup}"
    origin = {"sourceProjectId": attached.project, "sourceAddonId": attached.addon}
    api.post(f"{path}/restore", params=origin)

    def failed() -> str | None:
        (found,) = api.get(f"{target.path}/restores").data["restores"]
        assert found["status"] != "completed"
        return found.get("reason") if found["status"] == "failed" else None

    reason = await_that(failed)
    assert any(word in reason for word in ("digest", "sha256", "decompress", "zstd")), reason
    assert empty_postgres.postgres.run("SELECT datname FROM pg_database ORDER BY 1") == before
