"""Makes the v1 API's views of notification integrations."""

from typing import Any
from urllib.parse import urlsplit

from holdfast.catalog.alarms import channels
from holdfast.catalog.schema import ChannelRow
from holdfast.domain.alarms.integrations import TRIGGERS
from holdfast.kit.clock import rfc3339, rfc3339_if
from holdfast.kit.redact import MASK
from holdfast.kit.seal import Sealer
from holdfast.views.shapes.alarms import NotificationItem, NotificationStatus, NotificationView


def item(row: ChannelRow, sealer: Sealer, *, masked: bool) -> NotificationItem:
    """As lists have it. `masked`: without the path of the webhook, which is a secret of many."""
    return NotificationItem(**_fields(row, sealer, masked=masked))


def view(row: ChannelRow, sealer: Sealer, *, masked: bool) -> NotificationView:
    return NotificationView(
        **_fields(row, sealer, masked=masked),
        restricted=row.form["restricted"],
        restrictions=row.form["restrictions"],
        projects=row.form["projects"],
        events={trigger: trigger in (row.events or ()) for trigger in TRIGGERS},
    )


def _fields(row: ChannelRow, sealer: Sealer, *, masked: bool) -> dict[str, Any]:
    webhook = str(channels.settings(row, sealer)["url"])
    if masked:
        parts = urlsplit(webhook)
        webhook = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/{MASK}"
    status = NotificationStatus(
        disabled=False,
        time_of_first_failed_request=rfc3339_if(row.failing),
        number_of_failed_requests=row.failures or None,
    )
    return {
        "name": row.name,
        "id": row.id,
        "type": row.kind,
        "webhook": webhook,
        "status": status,
        "created_at": rfc3339(row.created),
        "updated_at": rfc3339(row.updated),
    }
