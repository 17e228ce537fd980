"""Formats the recovery kit for people: what to install, what to type, and the passphrase."""

from holdfast.client.models.models import RecoveryKit

_HEAD = """\
HOLDFAST RECOVERY KIT

With this page every snapshot below can be read without Holdfast, by restic 0.14 or newer
(apt-get install restic). Anybody who holds it can do the same: keep it away from this server.

    export RESTIC_PASSWORD='{passphrase}'
"""
_S3 = """
For repositories in S3, first the keys of the bucket:

    export AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=...
"""
_REPOSITORY = """
Project {project}, addon {addon}:

    restic -r '{url}' snapshots
    restic -r '{url}' restore latest --target ./restored
"""
_TAIL = """
What was restored holds `holdfast/manifest.json` (what it is a snapshot of) and the server's files;
for PostgreSQL `data` is a data directory that a server of the same major version starts from.
"""
_NONE = """
There are no snapshots here yet; the passphrase will open those to come.
"""


def text(kit: RecoveryKit) -> str:
    parts = [_REPOSITORY.format(**repository.model_dump()) for repository in kit.repositories]
    keys = _S3 if any(repository.url.startswith("s3:") for repository in kit.repositories) else ""
    head = _HEAD.format(passphrase=kit.passphrase.reveal())
    return "".join([head, keys, *(parts or [_NONE]), _TAIL])
