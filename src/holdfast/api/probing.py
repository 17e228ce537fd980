"""Probes a server or a bucket before anything about it is written to the catalogue.

A wrong host, password or privilege is the caller's to fix, so it is a 400 that names the field.
Probes run outside any transaction.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic.alias_generators import to_camel

from holdfast.catalog import destinations
from holdfast.catalog.schema import Destination
from holdfast.catalog.storage import copies, deletions
from holdfast.contracts.engine import ABSENT, Address, Engine
from holdfast.contracts.local_servers import Hostable
from holdfast.contracts.store import ObjectStore
from holdfast.domain.addon import pick_version
from holdfast.domain.errors import Failure, Invalid, ObjectMissing
from holdfast.http.state import Api
from holdfast.kit.fetch import is_local_service_name
from holdfast.kit.processes.hosting import free_port
from holdfast.usecases.addons import AddonServer, managed_address
from holdfast.usecases.archiving import archives
from holdfast.usecases.destinations import driver_options
from holdfast.usecases.forms.forms import AddonForm, AddonPatch, DestinationPatch
from holdfast.usecases.forms.store_settings import StoreSettings
from holdfast.usecases.hosting.certificates import require_certificates

_SAMPLE_COPIES = 50
"""Copies that are looked up when a destination gets another address."""
_MAX_ATTEMPTS = 2
"""The caller waits for the answer: enough for a hiccup, not for an outage."""


@dataclass(frozen=True)
class BucketFound:
    """A store that works, and the settings it needs."""

    store: ObjectStore
    settings: Mapping[str, object]


def found_for(api: Api, form: AddonForm) -> AddonServer:
    engine = api.engines(form.type)
    if form.connection_string is not None:
        return require_server(api, engine, form.connection_string.get_secret_value())
    return _managed(engine, form)


def require_archivable(
    api: Api, kind: str, attached: Address | None, *, unbounded: bool = False
) -> None:
    """Conflict that names what an attached server lacks; managed ones are configured by us."""
    engine = archives.require_followable(api.engines(kind))
    if attached is not None:
        archives.require_ready(engine, attached, unbounded=unbounded)


def moved_to(api: Api, kind: str, form: AddonPatch) -> AddonServer | None:
    """Probes the new address, if the patch names one."""
    if form.connection_string is None:
        return None
    return require_server(api, api.engines(kind), form.connection_string.get_secret_value())


def require_server(api: Api, engine: Engine, connection_string: str) -> AddonServer:
    """Signs in at the server and asks what it is, or raises Invalid for `connectionString`."""
    address = engine.parse(connection_string)
    require_certificates(address, engine, api.services.certificates)
    if any(is_local_service_name(host) for host in address.hosts):
        problem = "names a link-local address, where no server is"
        raise Invalid(f"the connection string {problem}", {"connectionString": problem})
    try:
        probe = engine.probe(address)
    except Failure as error:
        raise Invalid(error.message, {"connectionString": error.message}) from error
    if ABSENT in probe.facts:
        problem = f"the server has no database {probe.facts[ABSENT]}"
        raise Invalid(problem, {"connectionString": problem})
    return AddonServer(address, probe.version, probe)


def _managed(engine: Engine, form: AddonForm) -> AddonServer:
    if not isinstance(engine, Hostable):
        problem = f"{engine.title} servers cannot be run by Holdfast; attach your own"
        raise Invalid(problem, {"type": problem})
    if form.custom_credentials is not None and not engine.traits.named_databases:
        problem = f"databases of {engine.title} have no names"
        raise Invalid(problem, {"customCredentials.dbName": problem})
    available = list(engine.versions())
    version = pick_version(form.version, available)
    if version is None:
        versions = ", ".join(available) or "none; see `holdfast doctor`"
        problem = f"version {form.version!r} is not installed here (available: {versions})"
        raise Invalid(problem, {"version": problem})
    return AddonServer(managed_address(form, free_port()), version, None)


def require_bucket(
    api: Api, kind: str, options: Mapping[str, Any], chosen: Collection[str]
) -> BucketFound:
    """Writes, reads back, lists and deletes in the bucket, or says which of these failed.

    Returns the store and the settings that its service needs; those that the caller has not
    `chosen` are found out.
    """
    _require_public(str(options["endpoint"]))
    options = {**options, "attempts": _MAX_ATTEMPTS}
    try:
        api.try_store(kind, options)  # invalid options are refused before any request
        settings = {**api.settle_store(kind, options, chosen)}
        # Equal parts are large; with usual ones the check sends two of them.
        store = api.try_store(kind, {**options, **settings, "equal_parts": False})
        problem = api.check_store(store, "holdfast-probe/")
    except Invalid as error:
        details = {
            to_camel(name) if name in _SETTINGS else f"credentials.{name}": text
            for name, text in error.details.items()
        }
        raise Invalid(error.message, details) from error
    except Failure as error:
        problem = error.message
    else:
        if problem is None:
            used = {name: options[name] for name in chosen if name in options}
            return BucketFound(store, {**settings, **used})
    raise Invalid(f"the destination does not work: {problem}", {"credentials": problem})


def try_destination(api: Api, destination: Destination | None) -> str | None:
    """Writes, reads back, lists and deletes at a destination, None: in the platform's own store.

    Returns what failed, None: all worked.
    """
    try:
        if destination is None:
            store = api.open_store(None)
        else:
            options = destinations.options(destination, api.services.sealer)
            few = {"attempts": _MAX_ATTEMPTS, "equal_parts": False}
            store = api.try_store(destination.kind, {**options, **few})
        return api.check_store(store, "holdfast-probe/")
    except Failure as error:
        return error.message


_SETTINGS = frozenset(StoreSettings.model_fields)


def changed_bucket(
    api: Api, destination: Destination, form: DestinationPatch
) -> Mapping[str, object]:
    """Probes a destination as the patch would make it, and returns the settings it needs.

    A patch without credentials or settings probes nothing. At another address the copies that the
    catalogue lists must be found: it has to be the same store.
    """
    chosen = form.given()
    if form.credentials is None and not chosen:
        return {}
    before = destinations.options(destination, api.services.sealer)
    credentials = (
        driver_options(form.credentials, destination.prefix) if form.credentials else before
    )
    stored = {name: before[name] for name in _SETTINGS if name in before}
    moved = form.credentials is not None and any(
        before.get(name) != credentials.get(name) for name in ("endpoint", "bucket_name")
    )
    options = {**({} if moved else stored), **credentials, **chosen}
    bucket = require_bucket(api, destination.kind, options, [*chosen, *({} if moved else stored)])
    if moved:
        _require_same_objects(api, destination, bucket.store)
    return bucket.settings


def _require_same_objects(api: Api, destination: Destination, store: ObjectStore) -> None:
    """Raises Invalid unless the destination's newest copies are found in the store."""
    with api.catalog.read() as session:
        keys = copies.newest_objects(session, destination.pk, _SAMPLE_COPIES)
        waiting = deletions.pending_at(session, destination.pk)
    missing = [key for key in keys if not _has(store, key)]
    problem = ""
    if missing:
        problem = f"{len(missing)} of {len(keys)} backups are not there ({missing[0]})"
    elif waiting and not keys:
        problem = f"{waiting} deletions are not confirmed by the present one yet"
    if problem:
        raise Invalid(
            f"the bucket is another one: {problem}; copy all objects there first, or add it as a"
            " destination of its own",
            {"credentials.bucketName": problem},
        )


def _has(store: ObjectStore, key: str) -> bool:
    try:
        store.stat(key)
    except ObjectMissing:
        return False
    except Failure as error:
        raise Invalid(
            f"the destination does not work: {error.message}", {"credentials": error.message}
        ) from error
    return True


def _require_public(endpoint: str) -> None:
    """Raises Invalid for a link-local address, where only this machine may read its secrets."""
    try:
        host = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}").hostname
    except ValueError:
        return  # the driver says what is wrong with it
    if host and is_local_service_name(host):
        problem = "is a link-local address, where no store is"
        raise Invalid(f"the endpoint {problem}", {"credentials.endpoint": problem})
