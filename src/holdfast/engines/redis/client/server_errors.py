"""Translates errors of a server and of redis-py to our failures."""

from collections.abc import Generator
from contextlib import contextmanager

from redis import exceptions

from holdfast.contracts.engine import Address
from holdfast.domain.errors import AddonRefused, AddonUnavailable, Failure

_WRONG_LOGIN = ("WRONGPASS", "NOAUTH", "ERR invalid password", "ERR AUTH")
_TEMPORARY = ("LOADING", "BUSY", "MASTERDOWN", "NOMASTERLINK", "CLUSTERDOWN", "TRYAGAIN")


@contextmanager
def translated(address: Address) -> Generator[None]:
    endpoint = f"{address.host}:{address.port}"
    try:
        yield
    except exceptions.AuthenticationError as error:
        raise of_reply(str(error), address) from error
    except exceptions.NoPermissionError as error:
        raise AddonRefused(
            f"user {address.user} at {endpoint}: {error}", reason="privilege"
        ) from error
    except exceptions.ResponseError as error:
        raise of_reply(str(error), address) from error
    except (exceptions.RedisError, OSError) as error:
        raise AddonUnavailable(f"no answer from {endpoint}: {error}") from error


def of_reply(text: str, address: Address) -> Failure:
    """The failure for an error reply, given without its leading minus."""
    endpoint = f"{address.host}:{address.port}"
    if text.startswith(_TEMPORARY):
        return AddonUnavailable(f"the server at {endpoint} cannot answer now: {text}")
    wrong = text.startswith(_WRONG_LOGIN) or "password" in text.lower() or "Authentication" in text
    if wrong:
        return AddonRefused(
            f"{endpoint} does not accept the password of user {address.user}", reason="password"
        )
    if text.startswith("DENIED"):
        return AddonRefused(
            f"{endpoint} is in protected mode: it has no password", reason="protected"
        )
    return AddonRefused(f"{endpoint} refused: {text}", reason="refused")
