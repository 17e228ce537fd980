"""Answers about alarms, channels, deliveries and the v1 API's notification integrations."""

from pydantic import Field

from holdfast.views.shapes.base import Document, Shape


class AlarmView(Shape):
    """`since`: when what is wrong began; `openedAt`: when that was noticed. It is open until
    `closedAt`. `remedy` is the first thing to do about it."""

    id: str
    kind: str
    severity: str
    subject: str
    reason: str
    remedy: str
    project_id: str | None = None
    addon_id: str | None = None
    since: str
    opened_at: str
    updated_at: str
    acknowledged_at: str | None = None
    acknowledged_by: str | None = None
    snoozed_until: str | None = None
    closed_at: str | None = None
    closed_by: str | None = None


class AlarmList(Shape):
    alarms: list[AlarmView]


class ChannelView(Shape):
    """`receiver` names where it sends to, without secrets. It is `failing` after three failures in
    a row; `problem` is what was answered last, `nextTryAt` when it is tried again."""

    id: str
    name: str
    kind: str
    receiver: str
    severity: str
    projects: list[str] | None = None
    kinds: list[str] | None = None
    resolved: bool
    digest: str | None = None
    failing: bool
    failures: int
    problem: str | None = None
    failing_since: str | None = None
    next_try_at: str | None = None
    delivered_at: str | None = None
    created_at: str
    updated_at: str


class NewChannelView(ChannelView):
    """`key` signs a webhook's messages; this is the only answer that has it."""

    key: str | None = None


class ChannelList(Shape):
    channels: list[ChannelView]


class AttemptView(Shape):
    """`answer` is what the other side said, or why it could not be asked."""

    at: str
    ok: bool
    milliseconds: int
    answer: str


class DeliveryView(Shape):
    """`status` is waiting, sent or given up. `id` is the event's, the same in every attempt."""

    id: str
    channel: str
    event: str
    title: str
    status: str
    created_at: str
    sent_at: str | None = None
    given_up_at: str | None = None
    attempts: list[AttemptView]


class DeliveryList(Shape):
    deliveries: list[DeliveryView]


class MonitorView(Shape):
    """`state` is new, up, failed or late; `problem` is what is wrong, since `since`. `signal` and
    `said` are of the last ping, at `pingedAt`; `startedAt` is when what goes on began, `dueAt` when
    the next ping is expected at the latest, by the clock."""

    id: str
    name: str
    every_seconds: int
    grace_seconds: int
    state: str
    problem: str | None = None
    since: str | None = None
    pinged_at: str | None = None
    signal: str | None = None
    said: str | None = None
    started_at: str | None = None
    succeeded_at: str | None = None
    due_at: str
    created_at: str
    updated_at: str


class NewMonitorView(MonitorView):
    """`pingUrl` is what has to be pinged; this is the only answer that has it."""

    ping_url: str


class MonitorList(Shape):
    monitors: list[MonitorView]


class NotificationStatus(Shape):
    """As in the v1 API; `disabled` is never true here, because nothing is switched off."""

    disabled: bool
    time_of_first_failed_request: str | None = None
    number_of_failed_requests: int | None = None


class NotificationItem(Shape):
    name: str
    id: str
    type: str
    webhook: str
    status: NotificationStatus
    created_at: str
    updated_at: str


class NotificationView(NotificationItem):
    restricted: bool
    restrictions: Document | None = None
    projects: list[str]
    events: dict[str, bool] = Field(description="By name: `trigger:addon-backup:success`, ...")


class NotificationList(Shape):
    notification_integrations: list[NotificationItem]
