"""The operator's commands on this machine: first token, diagnosis, tools."""

from holdfast import settings as config
from holdfast.bootstrap.accounts import base_url
from holdfast.bootstrap.parts import Parts
from holdfast.catalog.access import users
from holdfast.catalog.database.session import CatalogClash
from holdfast.conformance.machine import Finding, examine
from holdfast.contracts.equipment import Equippable
from holdfast.domain.errors import NotSupported
from holdfast.engines.registry import ENGINES
from holdfast.usecases.access import first_owner
from holdfast.usecases.tokens import ensure_owner


def make_owner(parts: Parts) -> bool:
    """Makes the first owner token, into `owner.token` unless the settings name one. True: a file
    was written."""
    chosen = parts.settings.owner_token
    try:
        with parts.catalog.write() as session:
            token = ensure_owner(session, chosen, parts.clock.now())
            if token is None or chosen is not None:
                return False
            config.write_private(parts.settings.data_dir / "owner.token", token.reveal())
    except CatalogClash:
        return False  # another process that starts right now added the same token
    return True


def setup_link(parts: Parts, port: int) -> str | None:
    """The link that makes the first owner; None if there is a user, no dashboard, or no
    password to sign in with.

    `port` is the one that the process listens on, which the settings may leave open.
    """
    with parts.catalog.read() as session:
        passwords = parts.settings.dashboard and not parts.settings.oidc_only
        if not passwords or users.any_user(session):
            return None
    key = first_owner.make_key(parts.sealer, parts.clock.now())
    listening = parts.settings.model_copy(update={"port": port})
    return f"{base_url(listening)}/setup?key={key}"


def diagnose(parts: Parts) -> list[Finding]:
    return examine(parts.settings.data_dir, parts.clock, [parts.engine(kind) for kind in ENGINES])


def list_tools(parts: Parts) -> list[dict[str, str]]:
    """Installed tools first, then what could be installed."""
    rows: list[dict[str, str]] = []
    for kind in ENGINES:
        engine = parts.engine(kind)
        if isinstance(engine, Equippable):
            rows += [
                {"kind": kind, "version": t.version, "origin": t.origin, "place": str(t.directory)}
                for t in engine.tools()
            ]
            rows += [
                {"kind": kind, "version": version, "origin": "can be installed", "place": ""}
                for version in engine.installable()
            ]
    return rows


def install_tools(parts: Parts, kind: str, version: str) -> str:
    """Installs the tools; returns their version and directory."""
    engine = parts.engine(kind)
    if not isinstance(engine, Equippable):
        raise NotSupported(f"there are no tools of {engine.title} to install")
    installed = engine.install(version)
    return f"{engine.title} {installed.version} in {installed.directory}"
