"""Tables of alarms, of where they are sent, and of what processes observe."""

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from holdfast.catalog.schema.base import BigKey, Document, Table


class AlarmRow(Table):
    """One alarm, see `domain.alarms.rules`. The database keeps a second open one of a cause out.

    `since`: when what is wrong began, as far as that is known; `opened`: when it was noticed.
    """

    __tablename__ = "alarms"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(24), unique=True)
    cause: Mapped[str] = mapped_column(String(120))
    kind: Mapped[str] = mapped_column(String(40))
    source: Mapped[str] = mapped_column(String(80))
    severity: Mapped[str] = mapped_column(String(10))
    subject: Mapped[str]
    reason: Mapped[str]
    project_pk: Mapped[int | None] = mapped_column(index=True)
    addon_pk: Mapped[int | None]
    since: Mapped[int]
    opened: Mapped[int]
    updated: Mapped[int]
    acknowledged: Mapped[int | None]
    acknowledged_by: Mapped[str | None]
    snoozed_until: Mapped[int | None]
    closed: Mapped[int | None] = mapped_column(index=True)
    closed_by: Mapped[str | None]
    __table_args__ = (
        Index(
            "alarms_open",
            "cause",
            unique=True,
            sqlite_where=text("closed IS NULL"),
            postgresql_where=text("closed IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )


class ChannelRow(Table):
    """Where messages are sent. `sealed_settings` is JSON of all settings of its kind, secrets among
    them; `shown` names them for people without the secrets.

    `events` None: it gets alarms that `severity`, `projects` (keys) and `kinds` admit. Else it is
    a notification integration of the v1 API and gets these events; `form` has the rest of what it
    was made with. `failures` are those in a row, since `failing`; until `next_try` nothing is sent.
    """

    __tablename__ = "channels"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(110))
    name: Mapped[str]
    kind: Mapped[str] = mapped_column(String(40))
    shown: Mapped[str]
    sealed_settings: Mapped[str]
    severity: Mapped[str] = mapped_column(String(10))
    projects: Mapped[list[int] | None]
    kinds: Mapped[list[str] | None]
    resolved: Mapped[bool]
    digest: Mapped[str | None] = mapped_column(String(10))
    digest_due: Mapped[int | None]
    events: Mapped[list[str] | None]
    form: Mapped[Document]
    failures: Mapped[int]
    failing: Mapped[int | None]
    next_try: Mapped[int | None]
    problem: Mapped[str | None]
    delivered: Mapped[int | None]
    created: Mapped[int]
    updated: Mapped[int]
    deleted: Mapped[int | None]
    __table_args__ = (
        Index(
            "channels_living",
            "id",
            unique=True,
            sqlite_where=text("deleted IS NULL"),
            postgresql_where=text("deleted IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )


class DeliveryRow(Table):
    """A message to one channel: the outbox. `id` is the event's id, the same for every attempt.

    Until `claimed` one process sends it; `fence` counts the claims, and who holds an older one
    changes nothing. It is waiting while neither `sent` nor `given_up`.
    """

    __tablename__ = "deliveries"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(24), unique=True)
    channel_pk: Mapped[int] = mapped_column(ForeignKey("channels.pk"))
    event: Mapped[str] = mapped_column(String(60))
    kind: Mapped[str | None] = mapped_column(String(40))
    body: Mapped[Document]
    created: Mapped[int]
    due: Mapped[int]
    claimed: Mapped[int | None]
    fence: Mapped[int]
    tries: Mapped[int]
    sent: Mapped[int | None]
    given_up: Mapped[int | None]
    __table_args__ = (
        Index(
            "deliveries_waiting",
            "channel_pk",
            "pk",
            sqlite_where=text("sent IS NULL AND given_up IS NULL"),
            postgresql_where=text("sent IS NULL AND given_up IS NULL"),
        ),
        Index("deliveries_of_channel", "channel_pk", "created"),
        Index("deliveries_by_age", "created"),
        {"sqlite_autoincrement": True},
    )


class AttemptRow(Table):
    """One attempt to send a delivery, and what the other side answered."""

    __tablename__ = "delivery_attempts"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    delivery_pk: Mapped[int] = mapped_column(ForeignKey("deliveries.pk"), index=True)
    at: Mapped[int]
    took_ms: Mapped[int]
    ok: Mapped[bool]
    answer: Mapped[str]
    __table_args__ = ({"sqlite_autoincrement": True},)


class ObservationRow(Table):
    """What one process saw of something last, by the database's clock. `problem` None: all is well.

    `beats` grows with every observation: watchers judge by whether it changes.
    """

    __tablename__ = "observations"
    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    observer: Mapped[str] = mapped_column(String(80), primary_key=True)
    problem: Mapped[str | None]
    since: Mapped[int]
    seen: Mapped[int]
    beats: Mapped[int]


class MonitorRow(Table):
    """A ping that is expected every `every_ms`, see `domain.alarms.monitors`. `digest` is the
    sha256 of its key.

    `ends` counts pings that end something (successes and failures), `starts` those that begin
    something: watchers judge by whether they change, by their own clocks. `watched_ms` is how long
    they have watched since the last end, over restarts; `started` is when what goes on began.
    `problem` is what is wrong, since `since`. `pinged`, `signal` and `said` are of the last ping.
    """

    __tablename__ = "monitors"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    id: Mapped[str] = mapped_column(String(110), unique=True)
    name: Mapped[str]
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    every_ms: Mapped[int]
    grace_ms: Mapped[int]
    condition: Mapped[str] = mapped_column(String(10))
    problem: Mapped[str | None]
    since: Mapped[int | None]
    ends: Mapped[int]
    starts: Mapped[int]
    watched_ms: Mapped[int]
    started: Mapped[int | None]
    ended: Mapped[int | None]
    succeeded: Mapped[int | None]
    pinged: Mapped[int | None]
    signal: Mapped[str | None] = mapped_column(String(10))
    said: Mapped[str | None]
    created: Mapped[int]
    updated: Mapped[int]
    __table_args__ = ({"sqlite_autoincrement": True},)
