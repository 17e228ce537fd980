"""Writes and opens key files: each opens the repository with one password.

So the owner of a database may have a password of their own.
"""

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


def key_file(key: Key, password: Secret, user: str, created: str) -> bytes:
    """Returns the body of a new key file; the sha256 of the body is its name."""
    salt = secrets.token_bytes(64)
    sealed = _derived(password, salt, _N, _R, _P).seal(json.dumps(key.document()).encode())
    return json.dumps(
        {
            "created": created,
            "username": user,
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
    """Returns the key of a new repository; password and prefix determine it."""
    return _derived(password, f"holdfast repository {prefix}".encode(), _N, _R, _P)


def owner(body: bytes) -> str:
    """Returns the user name in a key file; empty for one that Holdfast did not write."""
    try:
        return str(json.loads(body).get("username", ""))
    except (ValueError, AttributeError):
        return ""


def opened(body: bytes, password: Secret) -> Key:
    """Opens a key file. Raises SealBroken when this password does not open it."""
    try:
        document: Mapping[str, object] = json.loads(body)
        numbers = [int(str(document[name])) for name in ("N", "r", "p")]
        salt = base64.b64decode(str(document["salt"]))
        sealed = base64.b64decode(str(document["data"]))
        if document["kdf"] != "scrypt":
            raise SealBroken(f"unknown key derivation {document['kdf']!r} in a key file")
        return crypto.parse(json.loads(_derived(password, salt, *numbers).open(sealed)))
    except (KeyError, TypeError, ValueError) as error:
        raise SealBroken("a key file of the repository cannot be read") from error


def _derived(password: Secret, salt: bytes, n: int, r: int, p: int) -> Key:
    material = hashlib.scrypt(
        password.reveal().encode(), salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=64
    )
    return crypto.split(material)
