"""Views the server of a managed addon as the container that the v1 API expects."""

from holdfast.catalog.schema import Addon
from holdfast.domain.addon import AddonStatus
from holdfast.views.shapes.addons import Container

_STATES = {
    AddonStatus.RUNNING: "TASK_RUNNING",
    AddonStatus.PAUSED: "TASK_KILLED",
    AddonStatus.ERROR: "TASK_FAILED",
    AddonStatus.FAILED: "TASK_FAILED",
    AddonStatus.DELETING: "TASK_KILLING",
}


def container_name(addon: Addon) -> str:
    return f"{addon.id}-0"


def containers_of(addon: Addon) -> list[Container]:
    """Returns the containers, with instants in whole seconds, as the clients expect here."""
    if not addon.managed:
        return []
    return [
        Container(
            name=container_name(addon),
            created_at=addon.created // 1000,
            updated_at=addon.updated // 1000,
            status=_STATES.get(AddonStatus(addon.status), "TASK_STARTING"),
        )
    ]
