"""Answers a table as a file: CSV for spreadsheets, JSON for programs."""

import csv
import io
import json
from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response

from holdfast.kit.clock import rfc3339_if

Row = Mapping[str, object]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def table(request: Request, name: str, rows: Sequence[Row]) -> Response:
    """The rows as `?format=csv` or `?format=json` says; all have the same columns."""
    if request.query_params.get("format") == "json":
        body, suffix, media_type = json.dumps(list(rows), indent=1), "json", "application/json"
    else:
        body, suffix, media_type = _csv(rows), "csv", "text/csv"
    headers = {"content-disposition": f'attachment; filename="{name}.{suffix}"'}
    return Response(body, headers=headers, media_type=media_type)


def instant(ms: int | None) -> str | None:
    return rfc3339_if(ms)


def _csv(rows: Sequence[Row]) -> str:
    file = io.StringIO()
    if rows:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return file.getvalue()


def _cell(value: object) -> object:
    """Text that a spreadsheet would take for a formula gets an apostrophe first."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value)
    return value
