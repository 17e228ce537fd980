"""Makes the API's views of destinations; secrets only in the answers where the v1 API has them."""

from holdfast.catalog import destinations, projects
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Destination
from holdfast.kit.clock import rfc3339
from holdfast.kit.seal import Sealer
from holdfast.views.shapes.backups import DestinationCredentials, DestinationView

MASK = "********"


def view(session: ReadSession, destination: Destination, sealer: Sealer | None) -> DestinationView:
    """`sealer` None masks the credentials."""
    owner, granted = destination.project_pk, destination.granted
    names = projects.by_pk(session, [*(granted or ()), *([owner] if owner else ())])
    secret, access = MASK, MASK
    if sealer is not None:
        context = destinations.context(destination.id)
        secret = sealer.open(destination.sealed_secret, context).reveal()
        access = destination.options["access_key"]
    return DestinationView(
        id=destination.id,
        name=destination.name,
        description=destination.description,
        type=destination.kind,
        prefix=destination.prefix,
        project_id=names[owner].id if owner else None,
        projects=None if granted is None else [names[pk].id for pk in granted],
        credentials=DestinationCredentials(
            access_key=access,
            secret_key=secret,
            bucket_name=destination.options["bucket_name"],
            region=destination.options["region"],
            endpoint=destination.options["endpoint"],
        ),
        max_parts=destination.options.get("max_parts"),
        equal_parts=destination.options.get("equal_parts"),
        checksum=destination.options.get("checksum"),
        addressing=destination.options.get("addressing"),
        created_at=rfc3339(destination.created),
        updated_at=rfc3339(destination.updated),
    )
