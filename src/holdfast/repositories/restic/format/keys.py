"""Key files: each opens the repository with one password, so an owner may hold one of his own."""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping

from holdfast.domain.errors import SealBroken
from holdfast.kit.seal import Secret
from holdfast.repositories.restic.format import crypto
from holdfast.repositories.restic.format.crypto import Key

_N, _R, _P = 32768, 8, 1  # restic's own parameters: a third of a second and 32 MiB


def key_file(key: Key, password: Secret, who: str, created: str) -> bytes:
    """The body of a new key file; its name is the sha256 of this."""
    salt = secrets.token_bytes(64)
    sealed = _derived(password, salt, _N, _R, _P).seal(json.dumps(key.document()).encode())
    return json.dumps(
        {
            "created": created,
            "username": who,
            "hostname": "holdfast",
            "kdf": "scrypt",
            "N": _N,
            "r": _R,
            "p": _P,
            "salt": base64.b64encode(salt).decode(),
            "data": base64.b64encode(sealed).decode(),
        }
    ).encode()


def first_key(password: Secret, prefix: str) -> Key:
    """The key of a repository to be made: the same for whoever makes it with this password."""
    return _derived(password, f"holdfast repository {prefix}".encode(), _N, _R, _P)


def owner(body: bytes) -> str:
    """The user name that a key file bears; empty when it is none of ours."""
    try:
        return str(json.loads(body).get("username", ""))
    except (ValueError, AttributeError):
        return ""


def opened(body: bytes, password: Secret) -> Key:
    """SealBroken when this password does not open this key file."""
    try:
        kept: Mapping[str, object] = json.loads(body)
        numbers = [int(str(kept[name])) for name in ("N", "r", "p")]
        salt = base64.b64decode(str(kept["salt"]))
        sealed = base64.b64decode(str(kept["data"]))
        if kept["kdf"] != "scrypt":
            raise SealBroken(f"unknown key derivation {kept['kdf']!r} in a key file")
        return crypto.parse(json.loads(_derived(password, salt, *numbers).open(sealed)))
    except (KeyError, TypeError, ValueError) as error:
        raise SealBroken("a key file of the repository cannot be read") from error


def _derived(password: Secret, salt: bytes, n: int, r: int, p: int) -> Key:
    material = hashlib.scrypt(
        password.reveal().encode(), salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=64
    )
    return crypto.split(material)
