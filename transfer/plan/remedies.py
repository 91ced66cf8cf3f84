"""What a user can do about a store's error: one line per code. Only text is here; `retry` decides."""

from __future__ import annotations

from collections.abc import Mapping

from transfer.model.errors import StoreError

_CREDENTIALS = "check the credentials: --profile, AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_NEW_LOGIN = "log in again (aws sso login) or renew the temporary credentials"
_REGION = "name the bucket's region with --region, or its server with --endpoint-url"
_ACCESS = "ask for access to it, or choose other credentials with --profile"
_KEY = "check the key with: transfer ls"
_BUSY = "the store is overloaded: run the command again later, or with a lower --concurrency"
_AGAIN = "run the command again"
_CHANGED = "the object changed meanwhile: run the command again"
_NETWORK = "bytes changed on the way: run the command again, and check the network or proxy if it persists"
_ARCHIVED = "the object is archived: restore it first (aws s3api restore-object)"
_FULL = "free space in the store or raise its quota"
_UNEXPLAINED = "check the endpoint URL (http or https?), the region and the credentials"
_CLOCK = "set this machine's clock"

UNANSWERED = "check the endpoint URL: http or https, and the port"
"""For a server that has never answered anything: many that speak TLS just close what is none."""

_BY_CODE: Mapping[str, str] = {
    "AccessDenied": _ACCESS,
    "AccountProblem": "the account has a problem: ask its owner or the provider",
    "AllAccessDisabled": "the account or bucket is disabled: ask its owner or the provider",
    "AuthorizationHeaderMalformed": _REGION,
    "BadDigest": _NETWORK,
    # Our own word, and botocore's, for a 400 that gives no reason, such as one to a HEAD.
    "BadRequest": _UNEXPLAINED,
    "400": _UNEXPLAINED,
    "BucketAlreadyExists": "choose another name: bucket names are shared by all accounts",
    "BucketAlreadyOwnedByYou": "nothing to do: the bucket is yours already",
    "BucketNotEmpty": "remove the objects first: transfer rm -r s3://NAME/",
    "ConditionalRequestConflict": _CHANGED,
    "EntityTooLarge": "send it in smaller parts with --part-size, or split it into several objects",
    "EntityTooSmall": "parts must have at least 5 MiB: choose a larger --part-size",
    "ExpiredToken": _NEW_LOGIN,
    "ExpiredTokenException": _NEW_LOGIN,
    "IllegalLocationConstraintException": _REGION,
    "InternalError": _AGAIN,
    "InvalidAccessKeyId": _CREDENTIALS,
    "InvalidBucketName": "bucket names have 3 to 63 lower-case letters, digits, dots and hyphens",
    "InvalidObjectState": _ARCHIVED,
    "InvalidRange": _CHANGED,
    "InvalidToken": _NEW_LOGIN,
    "KeyTooLongError": "keys have at most 1024 bytes: shorten the name",
    "NoSuchBucket": "check the bucket name, or make it with: transfer mb s3://NAME",
    "NoSuchKey": _KEY,
    "NoSuchUpload": "the unfinished upload was removed in the store: run the command again",
    "NoSuchVersion": _KEY,
    "NotSignedUp": "the account is not signed up for S3",
    "ObjectNotInActiveTierError": _ARCHIVED,
    "PermanentRedirect": _REGION,
    "PreconditionFailed": _CHANGED,
    "QuotaExceeded": _FULL,
    "RequestTimeTooSkewed": _CLOCK,
    "RequestInTheFuture": _CLOCK,
    "ServiceUnavailable": _BUSY,
    "SignatureDoesNotMatch": _CREDENTIALS,
    "SlowDown": _BUSY,
    "SlowDownRead": _BUSY,
    "SlowDownWrite": _BUSY,
    "TemporaryRedirect": _REGION,
    "TokenRefreshRequired": _NEW_LOGIN,
    "TooManyBuckets": "remove a bucket or have the limit raised",
    "XAmzContentChecksumMismatch": _NETWORK,
    "XMinioStorageFull": _FULL,
}
_BY_STATUS: Mapping[int, str] = {
    301: _REGION,
    307: _REGION,
    401: _CREDENTIALS,
    403: _ACCESS,
    404: _KEY,
    412: _CHANGED,
    429: _BUSY,
    500: _AGAIN,
    502: _AGAIN,
    503: _BUSY,
    504: _AGAIN,
    507: _FULL,
}


def remedy_of(error: StoreError) -> str | None:
    """What the user can do about it, in one line; None when nothing certain can be said.

    The code decides; the status does for answers without a body, such as those to a HEAD.
    """
    remedy = _BY_CODE.get(error.code) or _BY_STATUS.get(error.status)
    bucket = (error.subject or "").removeprefix("s3://").partition("/")[0]
    return remedy.replace("s3://NAME", f"s3://{bucket}") if remedy and bucket else remedy
