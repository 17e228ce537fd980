"""Makes the API's view of a signed report."""

from holdfast.catalog.schema import Report
from holdfast.kit.clock import rfc3339
from holdfast.views.shapes.proof import ReportView


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
