"""Destinations as the API shows them: secrets only where the reference shows them, if at all."""

from holdfast.catalog import destinations
from holdfast.catalog.schema import Destination
from holdfast.kit.clock import rfc3339
from holdfast.kit.seal import Sealer
from holdfast.views.backup_shapes import DestinationCredentials, DestinationView

MASK = "********"


def view(destination: Destination, sealer: Sealer | None) -> DestinationView:
    """`sealer` None masks the credentials."""
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
