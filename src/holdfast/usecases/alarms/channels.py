"""Channels: add, patch, delete. The API makes and checks the settings before."""

from collections.abc import Callable, Mapping, Sequence

from holdfast.catalog import addons, projects
from holdfast.catalog.alarms import channels, deliveries
from holdfast.catalog.schema import ChannelRow
from holdfast.catalog.work import schedules
from holdfast.contracts.channel import Channel
from holdfast.domain.alarms.messages import HEARTBEAT
from holdfast.domain.alarms.rules import Severity, next_digest
from holdfast.domain.errors import Forbidden, Invalid
from holdfast.domain.naming import name_taken, slug
from holdfast.usecases.context import Context
from holdfast.usecases.forms.alarms import ChannelForm, ChannelPatch

Complete = Callable[[str, Mapping[str, object]], tuple[dict[str, object], Channel]]
"""Returns the settings of a kind with what is made up for them, and its channel. Invalid."""


def add(
    context: Context, form: ChannelForm, settings: dict[str, object], channel: Channel
) -> ChannelRow:
    row = new_row(context, form.name, form.kind, channel)
    if form.kind == HEARTBEAT:  # of one schedule; filters of alarms mean nothing to it
        schedule = schedules.living(context.session, str(settings["schedule"]))
        addon = None if schedule is None else addons.get(context.session, schedule.addon_pk)
        project = None if addon is None else projects.get(context.session, addon.project_pk)
        if project is None or not context.caller.sees(project.id):
            problem = f"there is no backup schedule {settings['schedule']!r}"
            raise Invalid(problem, {"settings.schedule": problem})
        row.projects, row.form = [project.pk], {"schedule": settings["schedule"]}
    else:
        row.severity = form.severity
        row.projects = project_keys(context, form.projects)
        row.kinds = None if form.kinds is None else [str(kind) for kind in form.kinds]
        row.resolved, row.digest = form.resolved, form.digest
        row.digest_due = None if form.digest is None else next_digest(form.digest, context.now)
    channels.seal(row, settings, context.services.sealer)
    context.session.add(row)
    context.session.flush()
    return row


def new_row(context: Context, name: str, kind: str, channel: Channel) -> ChannelRow:
    """A channel that gets all alarms, not yet added. Conflict when its id is taken."""
    identifier = slug(name)
    if channels.is_taken(context.session, identifier):
        raise name_taken("a channel or notification integration", identifier)
    return ChannelRow(
        id=identifier,
        name=name,
        kind=kind,
        shown=channel.shown,
        severity=Severity.INFO,
        resolved=True,
        form={},
        failures=0,
        created=context.now,
        updated=context.now,
    )


def project_keys(context: Context, names: Sequence[str] | None) -> list[int] | None:
    """Keys of the named projects; None: all of them, which takes a token that sees all."""
    if names is None:
        if context.caller.projects is not None:
            raise Forbidden(
                "a token that is restricted to projects has to name them in `projects`:"
                " a channel without sends what is of all"
            )
        return None
    keys: list[int] = []
    for at, name in enumerate(dict.fromkeys(names)):
        project = projects.find(context.session, name) if context.caller.sees(name) else None
        if project is None:
            problem = f"there is no project {name!r}"
            raise Invalid(problem, {f"projects[{at}]": problem})
        keys.append(project.pk)
    return keys


def patch(
    context: Context,
    row: ChannelRow,
    form: ChannelPatch,
    changed: tuple[dict[str, object], Channel] | None,
) -> None:
    """Changes the fields that were sent; the id stays. `changed`: complete new settings."""
    sent = form.model_fields_set
    if row.kind == HEARTBEAT and sent - {"name"}:
        problem = "of a heartbeat can only be its name: remove it and add another"
        raise Invalid(f"what is changed {problem}", dict.fromkeys(sent - {"name"}, problem))
    if form.name is not None:
        row.name = form.name
    if form.severity is not None:
        row.severity = form.severity
    if "projects" in sent:
        row.projects = project_keys(context, form.projects)
    if "kinds" in sent:
        row.kinds = None if form.kinds is None else [str(kind) for kind in form.kinds]
    if form.resolved is not None:
        row.resolved = form.resolved
    if "digest" in sent:
        row.digest = form.digest
        row.digest_due = None if form.digest is None else next_digest(form.digest, context.now)
    if changed is not None:
        use_settings(context, row, *changed)
    row.updated = context.now


def use_settings(
    context: Context, row: ChannelRow, settings: dict[str, object], channel: Channel
) -> None:
    """Seals new settings, and tries what waits at once: they may be the remedy."""
    channels.seal(row, settings, context.services.sealer)
    row.shown, row.next_try = channel.shown, None


def delete(context: Context, row: ChannelRow) -> None:
    """What still waits for it is given up."""
    deliveries.drop_waiting(context.session, row.pk, context.now)
    row.deleted = context.now
