"""Makes the API's views of users and sessions; never a hash, a digest or a key."""

from holdfast.catalog.access import passkeys, web_sessions
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import User, WebSession
from holdfast.kit.clock import rfc3339, rfc3339_if
from holdfast.views.shapes.access import SessionView, UserView


def user_views(session: ReadSession, users: list[User]) -> list[UserView]:
    counts = passkeys.passkey_counts(session, [user.pk for user in users])
    views: list[UserView] = []
    for user in users:
        passkey_count = counts.get(user.pk, 0)
        ways = {
            "password": user.password_hash is not None,
            "code": user.sealed_totp is not None,
            "passkey": passkey_count > 0,
            "single sign-on": user.issuer is not None,
        }
        view = UserView(
            id=user.id,
            name=user.name,
            role=user.role,
            projects=user.projects,
            signs_in_with=[way for way, has in ways.items() if has],
            passkeys=passkey_count,
            provider=user.issuer,
            created_at=rfc3339(user.created),
            expires_at=rfc3339_if(user.expires),
            disabled_at=rfc3339_if(user.disabled),
            last_seen_at=rfc3339_if(user.last_seen),
        )
        views.append(view)
    return views


def session_views(session: ReadSession, rows: list[WebSession]) -> list[SessionView]:
    holders = web_sessions.holders(session, rows)
    return [
        SessionView(
            id=row.id,
            by=holders[row.pk].name,
            user_id=holders[row.pk].user_id,
            token_id=row.token_id,
            method=row.method,
            address=row.address,
            program=row.program,
            created_at=rfc3339(row.created),
            last_seen_at=rfc3339(row.seen),
        )
        for row in rows
    ]
