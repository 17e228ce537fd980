"""Calls for signed reports; their files are opened by the clients' own classes."""

from holdfast.client.models.models import Model
from holdfast.client.transport.calls import Listing, Noun, R, Steps, ask, call, get, listing
from holdfast.client.transport.parse import parsed
from holdfast.client.transport.transport import Body, Request, path_of

_PATIENCE_SECONDS = 3600.0
"""A report about a million backups is made in minutes, before the server answers."""
KEY_PATH = path_of("proof", "key")


class Report(Model):
    """See the API's `ReportView`."""

    number: int
    project_id: str | None = None
    start_time: str = ""
    end_time: str = ""
    made_at: str = ""
    made_by: str = ""
    sha256: str = ""
    html_sha256: str = ""
    previous_sha256: str | None = None
    previous_of_scope: int | None = None
    key_sha256: str = ""
    signature: str = ""


def file_path(number: int, file: str) -> str:
    return path_of("proof", "reports", str(number), file)


class Reports(Noun[R]):
    @call
    def make(self, body: Body) -> Steps[Report]:
        """Makes a report and returns when it is stored. `body`: `from`, `to` (default: now) and
        `projectId` (default: all projects)."""
        path = path_of("proof", "reports")
        request = Request("POST", path, None, body, seconds=_PATIENCE_SECONDS)
        return parsed(Report, (yield from ask(request)).data)

    @call
    def get(self, number: int) -> Steps[Report]:
        return parsed(Report, (yield from get(path_of("proof", "reports", str(number)))))

    @listing
    def list(self) -> Listing[Report]:
        """Lists reports, the newest first."""
        return Listing(Report, path_of("proof", "reports"), "reports")
