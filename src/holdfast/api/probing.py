"""Asking a server or a bucket before anything about it is written down.

A wrong host, password or privilege is the caller's to fix, so it is a 400 that names the field
and says which; it is asked outside any transaction.
"""

import socket
from urllib.parse import urlsplit

from holdfast.api.state import Api
from holdfast.contracts.engine import Engine
from holdfast.contracts.place import Hostable
from holdfast.domain.addon import pick_version
from holdfast.domain.errors import Failure, Invalid
from holdfast.kit.fetch import leads_to_this_machine_alone
from holdfast.usecases.addons import Found, managed_address
from holdfast.usecases.certificates import require_certificates
from holdfast.usecases.destinations import driver_options
from holdfast.usecases.forms import AddonForm, AddonPatch, Credentials

_TRIES = 2
"""Somebody waits for the answer: enough for a hiccup, not for an outage."""


def found_for(api: Api, form: AddonForm) -> Found:
    engine = api.engines(form.type)
    if form.connection_string is not None:
        return _attached(api, engine, form.connection_string.get_secret_value())
    return _managed(engine, form)


def moved_to(api: Api, kind: str, form: AddonPatch) -> Found | None:
    """The probed new address, if the patch names one."""
    if form.connection_string is None:
        return None
    return _attached(api, api.engines(kind), form.connection_string.get_secret_value())


def _attached(api: Api, engine: Engine, connection_string: str) -> Found:
    address = engine.parse(connection_string)
    require_certificates(address, engine, api.house.certificates)
    if address.host and leads_to_this_machine_alone(address.host):
        problem = "names a link-local address, where no server is"
        raise Invalid(f"the connection string {problem}", {"connectionString": problem})
    try:
        probe = engine.probe(address)
    except Failure as error:
        raise Invalid(error.message, {"connectionString": error.message}) from error
    return Found(address, probe.version, probe)


def _managed(engine: Engine, form: AddonForm) -> Found:
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
    return Found(managed_address(form, _free_port()), version, None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def require_bucket(api: Api, kind: str, credentials: Credentials, prefix: str) -> None:
    """Writes, reads back, lists and deletes in the bucket, or says which of these failed."""
    _require_place(credentials.endpoint)
    try:
        options = {**driver_options(credentials, prefix), "attempts": _TRIES}
        store = api.try_store(kind, options)
        problem = api.check_store(store, "holdfast-probe/")
    except Invalid as error:
        details = {f"credentials.{name}": text for name, text in error.details.items()}
        raise Invalid(error.message, details) from error
    except Failure as error:
        problem = error.message
    if problem is not None:
        raise Invalid(f"the destination does not work: {problem}", {"credentials": problem})


def _require_place(endpoint: str) -> None:
    """Whoever may add destinations must not make us ask for what only this machine may know."""
    try:
        host = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}").hostname
    except ValueError:
        return  # the driver says what is wrong with it
    if host and leads_to_this_machine_alone(host):
        problem = "is a link-local address, where no store is"
        raise Invalid(f"the endpoint {problem}", {"credentials.endpoint": problem})
