"""Notification integrations of the v1 API: create, update, delete. They are channels that get
backup events instead of alarms."""

from collections.abc import Mapping
from typing import Any

from holdfast.catalog.alarms import channels
from holdfast.catalog.schema import ChannelRow
from holdfast.contracts.channel import Channel
from holdfast.domain.alarms.integrations import problems
from holdfast.domain.errors import Invalid
from holdfast.domain.naming import slug
from holdfast.usecases.alarms.channels import new_row, project_keys, use_settings
from holdfast.usecases.alarms.sending import OpenChannel, notification_settings
from holdfast.usecases.context import Context
from holdfast.usecases.forms.integrations import NotificationForm, NotificationPatch


def create(context: Context, form: NotificationForm, open_channel: OpenChannel) -> ChannelRow:
    require_events(form.events)
    settings = _settings(form.type, form.webhook, form.secret)
    integration = {"integrationId": slug(form.name), "integrationName": form.name}
    own = integration if form.type == "RAW_WEBHOOK" else {}
    channel = _open(open_channel, form.type, {**settings, **own})
    row = new_row(context, form.name, form.type, channel)
    row.events = [name for name, chosen in form.events.items() if chosen]
    _restrict(context, row, restricted=form.restricted, names=form.projects)
    row.form = {**row.form, "restrictions": form.restrictions.model_dump(by_alias=True)}
    channels.seal(row, settings, context.services.sealer)
    context.session.add(row)
    context.session.flush()
    return row


def update(
    context: Context, row: ChannelRow, form: NotificationPatch, open_channel: OpenChannel
) -> None:
    """Changes the fields that were sent; the id and the type stay."""
    if form.name is not None:
        row.name = form.name
    if form.events is not None:
        require_events(form.events)
        row.events = [name for name, chosen in form.events.items() if chosen]
    if form.restricted is not None or form.projects is not None:
        restricted = row.form["restricted"] if form.restricted is None else form.restricted
        names = row.form["projects"] if form.projects is None else form.projects
        _restrict(context, row, restricted=restricted, names=names)
    if form.restrictions is not None:
        row.form = {**row.form, "restrictions": form.restrictions.model_dump(by_alias=True)}
    if form.webhook is not None or form.secret is not None:
        stored = channels.settings(row, context.services.sealer)
        settings = _settings(
            row.kind, form.webhook or stored["url"], form.secret or stored.get("secret")
        )
        channel = _open(open_channel, row.kind, {**settings, **notification_settings(row)})
        use_settings(context, row, settings, channel)
    row.updated = context.now


def require_events(events: Mapping[str, bool]) -> None:
    """Raises Invalid for an event that never happens here."""
    wrong = problems(events)
    if wrong:
        raise Invalid("; ".join(f"{name} {why}" for name, why in wrong.items()), wrong)


def _settings(kind: str, webhook: str, secret: str | None) -> dict[str, Any]:
    if secret is None:
        return {"url": webhook}
    if kind != "RAW_WEBHOOK":
        problem = "is sent by integrations of type RAW_WEBHOOK only"
        raise Invalid(f"a secret {problem}", {"secret": problem})
    return {"url": webhook, "secret": secret}


_FIELDS = {"settings.url": "webhook", "settings.secret": "secret"}


def _open(open_channel: OpenChannel, kind: str, settings: Mapping[str, object]) -> Channel:
    """Raises Invalid with the names that the v1 API has for the settings."""
    try:
        return open_channel(kind, settings)
    except Invalid as error:
        details = {_FIELDS.get(name, name): why for name, why in error.details.items()}
        sentence = "; ".join(f"{name}: {why}" for name, why in details.items())
        raise Invalid(sentence, details) from None


def _restrict(context: Context, row: ChannelRow, *, restricted: bool, names: list[str]) -> None:
    """`names` of projects count when it is `restricted`, and are remembered when it is not."""
    keys = project_keys(context, names)
    row.projects = keys if restricted else project_keys(context, None)
    row.form = {**row.form, "restricted": restricted, "projects": list(dict.fromkeys(names))}
