"""Translates errors of the operating system into failures of a store."""

import errno
from collections.abc import Generator
from contextlib import contextmanager

from holdfast.domain.errors import (
    DestinationFull,
    ObjectTooLarge,
    StoreRefused,
    StoreUnavailable,
)

_FULL = {errno.ENOSPC, errno.EDQUOT}
_REFUSED = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG),
    *(errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EEXIST),
}


@contextmanager
def translated(operation: str, key: str) -> Generator[None]:
    """Turns an OSError of the block into the failure it means."""
    try:
        yield
    except OSError as error:
        message = f"{operation} {key}: {error.strerror}"
        if error.errno in _FULL:
            raise DestinationFull(message) from error
        if error.errno == errno.EFBIG:
            raise ObjectTooLarge(message) from error
        if error.errno in _REFUSED:
            raise StoreRefused(message) from error
        raise StoreUnavailable(message) from error
