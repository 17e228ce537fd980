"""Builds what single sign-on works with, from the settings."""

from holdfast.bootstrap.parts import Parts
from holdfast.domain.errors import Invalid
from holdfast.domain.sign_in.groups import parse_grants
from holdfast.kit.sign_in.oidc import Provider
from holdfast.web.sign_in.parts import SingleSignOn

_LOCAL = ("http://127.0.0.1", "http://localhost", "http://[::1]")


def single_sign_on(parts: Parts) -> SingleSignOn | None:
    """None without a provider. Raises Invalid for settings that do not go together."""
    settings = parts.settings
    if not settings.oidc_issuer:
        if settings.oidc_only:
            raise _invalid("oidc_issuer", "is needed when nothing else is allowed")
        return None
    if not settings.oidc_issuer.startswith(("https://", *_LOCAL)):
        raise _invalid("oidc_issuer", "must be an https address")
    if not settings.oidc_client_id:
        raise _invalid("oidc_client_id", "is needed beside oidc_issuer")
    grants = parse_grants(settings.oidc_roles)
    if not grants:
        raise _invalid("oidc_roles", "must say what groups may do, for example `dba=admin`")
    provider = Provider(
        settings.oidc_issuer,
        settings.oidc_client_id,
        settings.oidc_client_secret,
        settings.oidc_scopes,
        parts.clock,
    )
    title = settings.oidc_title or provider.host
    claims = settings.oidc_name_claim, settings.oidc_groups_claim
    return SingleSignOn(provider, title, grants, *claims, settings.oidc_only)


def _invalid(name: str, problem: str) -> Invalid:
    return Invalid(f"{name} {problem}", {name: problem})
