"""Asking a server or a bucket before anything about it is written down.

A wrong host, password or privilege is the caller's to fix, so it is a 400 that names the field
and says which; it is asked outside any transaction.
"""

import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic.alias_generators import to_camel

from holdfast.catalog import destinations
from holdfast.catalog.schema import Destination
from holdfast.catalog.storage import copies, deletions
from holdfast.contracts.engine import ABSENT, Engine
from holdfast.contracts.local_servers import Hostable
from holdfast.contracts.store import ObjectStore
from holdfast.domain.addon import pick_version
from holdfast.domain.errors import Failure, Invalid, ObjectMissing
from holdfast.http.state import Api
from holdfast.kit.fetch import leads_to_this_machine_alone
from holdfast.usecases.addons import AddonServer, managed_address
from holdfast.usecases.certificates import require_certificates
from holdfast.usecases.destinations import driver_options
from holdfast.usecases.forms.forms import AddonForm, AddonPatch, DestinationPatch
from holdfast.usecases.forms.store_settings import StoreSettings

_SAMPLE = 50
"""Copies that are looked up when a destination gets another address."""
_TRIES = 2
"""Somebody waits for the answer: enough for a hiccup, not for an outage."""


@dataclass(frozen=True)
class BucketFound:
    """A store that works, and how it is spoken to."""

    store: ObjectStore
    settings: Mapping[str, object]


def found_for(api: Api, form: AddonForm) -> AddonServer:
    engine = api.engines(form.type)
    if form.connection_string is not None:
        return _attached(api, engine, form.connection_string.get_secret_value())
    return _managed(engine, form)


def moved_to(api: Api, kind: str, form: AddonPatch) -> AddonServer | None:
    """The probed new address, if the patch names one."""
    if form.connection_string is None:
        return None
    return _attached(api, api.engines(kind), form.connection_string.get_secret_value())


def _attached(api: Api, engine: Engine, connection_string: str) -> AddonServer:
    address = engine.parse(connection_string)
    require_certificates(address, engine, api.services.certificates)
    if address.host and leads_to_this_machine_alone(address.host):
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
        there = ", ".join(available) or "none; see `holdfast doctor`"
        problem = f"version {form.version!r} is not installed here (available: {there})"
        raise Invalid(problem, {"version": problem})
    return AddonServer(managed_address(form, _free_port()), version, None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def require_bucket(
    api: Api, kind: str, options: Mapping[str, Any], given: Collection[str]
) -> BucketFound:
    """Writes, reads back, lists and deletes in the bucket, or says which of these failed.

    Returns the store, and how its service wants to be spoken to: what of that is not among the
    settings that were `given` is found out.
    """
    _require_place(str(options["endpoint"]))
    options = {**options, "attempts": _TRIES}
    try:
        api.try_store(kind, options)  # what makes no sense is said before anything is asked
        settings = {**api.settle_store(kind, options, given)}
        # Parts of one size are large; with the usual ones what is tried here takes two of them.
        store = api.try_store(kind, {**options, **settings, "equal_parts": False})
        problem = api.check_store(store, "holdfast-probe/")
    except Invalid as error:
        details = {_field(name): text for name, text in error.details.items()}
        raise Invalid(error.message, details) from error
    except Failure as error:
        problem = error.message
    else:
        if problem is None:
            named = {name: options[name] for name in given if name in options}
            return BucketFound(store, {**settings, **named})
    raise Invalid(f"the destination does not work: {problem}", {"credentials": problem})


_SETTINGS = frozenset(StoreSettings.model_fields)


def _field(name: str) -> str:
    """What callers call it."""
    return to_camel(name) if name in _SETTINGS else f"credentials.{name}"


def changed_bucket(
    api: Api, destination: Destination, form: DestinationPatch
) -> Mapping[str, object]:
    """Looks at a destination as the patch would make it; how it has to be spoken to. Nothing is
    asked when the patch says nothing of that.

    Another address has to be the same store: what the catalogue keeps there must be found.
    """
    given = form.given()
    if form.credentials is None and not given:
        return {}
    before = destinations.options(destination, api.services.sealer)
    credentials = (
        driver_options(form.credentials, destination.prefix) if form.credentials else before
    )
    kept = {name: before[name] for name in _SETTINGS if name in before}
    moved = form.credentials is not None and not _is_same_place(before, credentials)
    options = {**({} if moved else kept), **credentials, **given}
    found = require_bucket(api, destination.kind, options, [*given, *({} if moved else kept)])
    if moved:
        _require_same_objects(api, destination, found.store)
    return found.settings


def _is_same_place(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    return all(before.get(name) == after.get(name) for name in ("endpoint", "bucket_name"))


def _require_same_objects(api: Api, destination: Destination, store: ObjectStore) -> None:
    """Invalid unless the newest copies that are kept at the destination are found there."""
    with api.catalog.read() as session:
        held = copies.newest_objects(session, destination.pk, _SAMPLE)
        waiting = deletions.pending_at(session, destination.pk)
    missing = [key for key in held if not _has(store, key)]
    problem = ""
    if missing:
        problem = f"{len(missing)} of {len(held)} backups are not there ({missing[0]})"
    elif waiting and not held:
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


def _require_place(endpoint: str) -> None:
    """Whoever may add destinations must not make us ask for what only this machine may know."""
    try:
        host = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}").hostname
    except ValueError:
        return  # the driver says what is wrong with it
    if host and leads_to_this_machine_alone(host):
        problem = "is a link-local address, where no store is"
        raise Invalid(f"the endpoint {problem}", {"credentials.endpoint": problem})
