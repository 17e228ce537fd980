"""Makes the API's views of signed reports."""

from holdfast.catalog.schema import Report
from holdfast.kit.clock import rfc3339
from holdfast.views.shapes.base import Shape


class ReportView(Shape):
    """`sha256` is of the JSON, `htmlSha256` of the HTML, both hex; `previousSha256` is that of the
    JSON of the report before it, `previousOfScope` the number of the last one about the same
    project. `signature` is Ed25519 over the JSON's bytes, in base64."""

    number: int
    project_id: str | None = None
    start_time: str
    end_time: str
    made_at: str
    made_by: str
    sha256: str
    html_sha256: str
    bytes: str
    html_bytes: str
    previous_sha256: str | None = None
    previous_of_scope: int | None = None
    key_sha256: str
    signature: str


class ReportList(Shape):
    reports: list[ReportView]


def view(report: Report) -> ReportView:
    return ReportView(
        number=report.number,
        project_id=report.project,
        start_time=rfc3339(report.since),
        end_time=rfc3339(report.until),
        made_at=rfc3339(report.made),
        made_by=report.actor,
        sha256=report.sha256,
        html_sha256=report.html_sha256,
        bytes=str(report.size),
        html_bytes=str(report.html_size),
        previous_sha256=report.previous,
        previous_of_scope=report.scope_before,
        key_sha256=report.key_sha256,
        signature=report.signature,
    )
