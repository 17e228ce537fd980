"""The recovery kit as people keep it: what to install, what to type, and the passphrase."""

from holdfast.client.models.models import RecoveryKit

_HEAD = """\
HOLDFAST RECOVERY KIT

With this page every snapshot below can be read without Holdfast, by restic 0.14 or newer
(apt-get install restic). Whoever holds it can do the same: keep it away from this server.

    export RESTIC_PASSWORD='{passphrase}'
"""
_S3 = """
For repositories in S3, first the keys of the bucket:

    export AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=...
"""
_EACH = """
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
    shelves = [_EACH.format(**each.model_dump()) for each in kit.repositories]
    keys = _S3 if any(each.url.startswith("s3:") for each in kit.repositories) else ""
    head = _HEAD.format(passphrase=kit.passphrase.reveal())
    return "".join([head, keys, *(shelves or [_NONE]), _TAIL])
