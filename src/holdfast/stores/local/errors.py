"""What the operating system said, in the words of a store."""

import errno
from collections.abc import Generator
from contextlib import contextmanager

from holdfast.domain.errors import (
    DestinationFull,
    Failure,
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
    """Inside, an OSError becomes the failure it means."""
    try:
        yield
    except OSError as error:
        raise _failure(error, f"{operation} {key}: {error.strerror}") from error


def _failure(error: OSError, message: str) -> Failure:
    if error.errno in _FULL:
        return DestinationFull(message)
    if error.errno == errno.EFBIG:
        return ObjectTooLarge(message)
    if error.errno in _REFUSED:
        return StoreRefused(message)
    return StoreUnavailable(message)
