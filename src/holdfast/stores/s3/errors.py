"""Translates errors of the service and the network into failures of a store.

Only codes and statuses are repeated: a service's own sentences quote access keys and signatures.
"""

from collections.abc import Mapping
from typing import Any, cast

from botocore.exceptions import (  # pyright: ignore[reportMissingTypeStubs]
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    SSLError,
)
from botocore.exceptions import (  # pyright: ignore[reportMissingTypeStubs]
    ConnectionError as NoConnection,
)
from urllib3.exceptions import HTTPError

from holdfast.domain.errors import (
    DestinationFull,
    Failure,
    ObjectMissing,
    ObjectTooLarge,
    StoreRefused,
    StoreUnavailable,
)

TROUBLE = (ClientError, BotoCoreError, HTTPError, OSError)
"""Everything the client raises for what the network or the service did."""

_NO_ANSWER = (NoConnection, HTTPClientError, IncompleteReadError, HTTPError, OSError)
_KINDS: Mapping[str, type[Failure]] = {
    "NoSuchKey": ObjectMissing,
    "NoSuchUpload": ObjectMissing,
    "EntityTooLarge": ObjectTooLarge,
    "QuotaExceeded": DestinationFull,
    "ServiceQuotaExceededException": DestinationFull,
    "StorageFull": DestinationFull,
    "XMinioStorageFull": DestinationFull,
    "XMinioAdminBucketQuotaExceeded": DestinationFull,
    "507": DestinationFull,
    **dict.fromkeys(
        ("SlowDown", "RequestTimeout", "InternalError", "Throttling", "ServiceUnavailable"),
        StoreUnavailable,
    ),
}
_HINTS: Mapping[str, str] = {
    "InvalidAccessKeyId": "the access key is not known there",
    "SignatureDoesNotMatch": "the secret key is wrong",
    "AccessDenied": "the credentials lack this permission",
    "403": "the credentials lack this permission",
    "NoSuchBucket": "the bucket does not exist",
    "PermanentRedirect": "the bucket is in another region",
    "AuthorizationHeaderMalformed": "the region is wrong",
    "PreconditionFailed": "the object changed while it was read",
    "RequestTimeTooSkewed": "this machine's clock is wrong",
    "InvalidPart": "parts were refused; a service that wants them of one size needs equal_parts",
}


def service_code(error: Failure) -> str:
    """Returns the service's own code of a failure made here; empty when there was none."""
    return str(error.facts.get("service_code", ""))


def failure(error: Exception, operation: str, key: str) -> Failure:
    """Returns the failure that `error` means. The sentence names operation, key and code."""
    if not isinstance(error, ClientError):
        action, name = f"{operation} {key}", type(error).__name__
        if isinstance(error, SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
            return StoreRefused(f"{action}: the service's certificate is not trusted here")
        if isinstance(error, _NO_ANSWER):
            return StoreUnavailable(f"{action}: no answer ({name})")
        return StoreRefused(f"{action}: {name}")
    response = cast("Mapping[str, Any]", cast("Any", error).response)
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code = str(response.get("Error", {}).get("Code") or status)
    hint = f": {_HINTS[code]}" if code in _HINTS else ""
    message = f"{operation} {key}: {code} (HTTP {status}){hint}"
    kind = _KINDS.get(code) or _KINDS.get(str(status))
    if kind is None and (status == 429 or (status >= 500 and status != 501)):
        kind = StoreUnavailable
    elif kind is None:
        kind = ObjectMissing if code in ("404", "NotFound") else StoreRefused
    return kind(message, service_code=code)
