"""What the groups of a single sign-on provider mean here: a role, and projects."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from holdfast.domain.errors import Invalid

EVERYONE = "*"


@dataclass(frozen=True)
class Grant:
    """What members of a group get. `projects` None: all of them."""

    group: str
    role: str
    projects: frozenset[str] | None


def parse_grants(text: str) -> list[Grant]:
    """Reads `dba=admin; staff=default:shop,web; *=viewer`.

    The last `=` of a rule counts, because names of groups may have some. Raises Invalid.
    """
    grants: list[Grant] = []
    for rule in filter(None, (part.strip() for part in text.split(";"))):
        group, equals, target = rule.rpartition("=")
        role, colon, listed = target.partition(":")
        projects = frozenset(filter(None, (name.strip() for name in listed.split(","))))
        if not (equals and group.strip() and role.strip()) or (colon and not projects):
            problem = f"must be rules like `dba=admin; staff=default:shop,web`; {rule!r} is none"
            raise Invalid(f"oidc_roles {problem}", {"oidc_roles": problem})
        grants.append(Grant(group.strip(), role.strip(), projects if colon else None))
    return grants


def grant_of(grants: Sequence[Grant], groups: Collection[str]) -> Grant | None:
    """The first rule that fits one of the groups, so the mightiest belongs first; None: no rule."""
    fitting = (grant for grant in grants if grant.group in groups or grant.group == EVERYONE)
    return next(fitting, None)
