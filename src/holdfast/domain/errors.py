"""Every failure Holdfast knows, each with one code and one sentence a person understands.

The base class decides what happens next: `Temporary` may be retried unchanged, `Permanent` needs a
change first. The class docstring is the default message; an instance may say more.

    Failure
    ├── Temporary   StoreUnavailable, AddonUnavailable, ...
    ├── Permanent   DestinationFull, ToolMissing, ...
    └── Refused     a caller's request cannot be fulfilled; maps to one HTTP status
"""

from collections.abc import Mapping
from typing import ClassVar


class Failure(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "failure"

    def __init__(self, message: str = "", **facts: object) -> None:
        text = message or (type(self).__doc__ or "").strip().splitlines()[0]
        # One line: reasons are shown in lists and logs, but servers and tools answer in several.
        self.message = " ".join(line.strip() for line in text.splitlines() if line.strip())
        self.facts: Mapping[str, object] = facts
        super().__init__(self.message)


class Temporary(Failure):
    """Something did not work this time; the same attempt may work later."""

    code = "temporary"


class Permanent(Failure):
    """Something will not work until it is changed."""

    code = "permanent"


class StoreUnavailable(Temporary):
    """The destination did not answer."""

    code = "store.unavailable"


class StoreRefused(Permanent):
    """The destination refused the request."""

    code = "store.refused"


class DestinationFull(Permanent):
    """The destination has no room for the artifact."""

    code = "destination.full"


class ObjectMissing(Permanent):
    """The destination has no object under this key."""

    code = "store.missing"


class ObjectTooLarge(Permanent):
    """The artifact is larger than the destination can hold as one object."""

    code = "store.too-large"


class SignInBusy(Temporary):
    """Too many people sign in right now; try again in a few seconds."""

    code = "sign-in.busy"


class ProviderUnavailable(Temporary):
    """The single sign-on provider did not answer as it should."""

    code = "sign-in.provider"


class AddonUnavailable(Temporary):
    """The database server did not answer."""

    code = "addon.unavailable"


class AddonRefused(Permanent):
    """The database server refused the connection or lacks a privilege."""

    code = "addon.refused"


class ToolMissing(Permanent):
    """No installed client tool fits this server."""

    code = "tool.missing"


class ChildFailed(Permanent):
    """A child process ended with an error."""

    code = "child.failed"


class Stalled(Permanent):
    """No bytes moved for the configured time, so the child was ended."""

    code = "child.stalled"


class EvidenceMissing(Permanent):
    """The backup could not be proven good, so it is not completed."""

    code = "evidence.missing"


class SourceChanged(EvidenceMissing):
    """The database changed so that what was read of it is useless; reading it anew may work."""

    code = "evidence.changed"


class PreflightRefused(Permanent):
    """The restore was refused before anything was touched."""

    code = "restore.preflight"


class RestoreDiffers(Permanent):
    """What was restored is not what was backed up."""

    code = "restore.differs"


class WorkerLost(Permanent):
    """The worker died and the operation may not be repeated."""

    code = "worker.lost"


class NotSupported(Permanent):
    """This kind of addon cannot do this."""

    code = "not-supported"


class Interrupted(Failure):
    """The operation was asked to stop."""

    code = "interrupted"


class FencedOff(Failure):
    """Another worker took this operation over; this one changes nothing more."""

    code = "fenced"


class SealBroken(Permanent):
    """A sealed secret could not be opened with this installation's key."""

    code = "seal.broken"


class MasterKeyMissing(Permanent):
    """There is no master key here, and the catalogue holds secrets that one sealed."""

    code = "master-key.missing"


class MasterKeyWrong(Permanent):
    """The master key is not the one that sealed this catalogue's secrets."""

    code = "master-key.wrong"


class LogRemoved(Permanent):
    """The server has removed a part of its log."""

    code = "log.removed"


class OtherHistory(EvidenceMissing):
    """The server's log is not the one that is stored."""

    code = "log.other"


class Refused(Failure):
    """The request cannot be fulfilled."""

    code = "refused"
    status: ClassVar[int] = 400


class Invalid(Refused):
    """The request is not valid."""

    code = "invalid"

    def __init__(self, message: str = "", details: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.details: Mapping[str, str] = details or {}


class Unauthenticated(Refused):
    """A valid token is required."""

    code = "unauthenticated"
    status = 401


class Forbidden(Refused):
    """The token lacks a permission."""

    code = "forbidden"
    status = 403


class TooLarge(Refused):
    """What was sent is larger than may be."""

    code = "too-large"
    status = 413


class NotFound(Refused):
    """There is no such thing here."""

    code = "not-found"
    status = 404


class Conflict(Refused):
    """The current state does not allow this."""

    code = "conflict"
    status = 409

    def __init__(self, message: str = "", details: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.details: Mapping[str, object] = details or {}
