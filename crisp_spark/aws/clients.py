"""Clients of AWS services, and their errors in this package's words.

``AWS_ENDPOINT_URL`` (and ``AWS_ENDPOINT_URL_<SERVICE>``) are respected, so everything can be
pointed at a local, compatible server.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

import boto3
import botocore.loaders
import botocore.session
from botocore import exceptions as botocore_errors
from botocore.config import Config

from crisp_spark import __version__
from crisp_spark.errors import AccessError, CrispError, StorageError, UnavailableError, UsageError

_DEFAULT_REGION = "us-east-1"
_ATTEMPTS = 8
_CONNECT_SECONDS = 10
_READ_SECONDS = 60
_POOL = 32

_TRY_AGAIN = frozenset(
    {
        "503",
        "BandwidthLimitExceeded",
        "ConcurrentModificationException",
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServerException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "Throttled",
        "Throttling",
        "ThrottledException",
        "ThrottlingException",
        "TooManyRequests",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_NO_ACCESS = frozenset(
    {
        "401",
        "403",
        "AccessDenied",
        "AccessDeniedException",
        "AllAccessDisabled",
        "AuthFailure",
        "AuthorizationError",
        "Forbidden",
        "NotAuthorized",
        "UnauthorizedException",
        "UnauthorizedOperation",
    }
)
_BAD_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_CREDENTIAL_ERRORS = (
    botocore_errors.NoCredentialsError,
    botocore_errors.PartialCredentialsError,
    botocore_errors.CredentialRetrievalError,
    botocore_errors.ProfileNotFound,
    botocore_errors.TokenRetrievalError,
    botocore_errors.SSOError,
)
_CREDENTIAL_HINT = (
    "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where a role is "
    "attached; `aws sts get-caller-identity` tells whether they work"
)


class HasRegion(Protocol):
    """Compute of a target that says where it is."""

    @property
    def region(self) -> str | None:
        """Region, where the project file names one."""
        ...


@dataclass
class Clients:
    """Clients of one region, made on first use and kept; safe to share between threads.

    Attributes:
        region: Region that requests go to.
    """

    region: str
    _made: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def get(self, service: str, *, region: str | None = None) -> Any:
        """Return the client of ``service`` (boto3's name: ``emr``, ``s3``, ``stepfunctions``...).

        Args:
            service: Service.
            region: Another region, for services that are not everywhere (prices).

        Raises:
            AccessError: The credentials that are asked for do not exist.
        """
        place = region or self.region
        with self._lock:
            if (service, place) not in self._made:
                with translated(f"aws: {service}"):
                    session = new_session()
                    self._made[service, place] = session.client(
                        service, region_name=place, config=_config()
                    )
            return self._made[service, place]

    @property
    def s3(self) -> Any:
        """Client of S3."""
        return self.get("s3")

    @property
    def emr(self) -> Any:
        """Client of EMR on EC2."""
        return self.get("emr")


def new_session() -> boto3.session.Session:
    """Return a session that reads the environment now, and the services' models once.

    Reading the models is most of the time that a new client takes.
    """
    core = botocore.session.get_session()
    core.register_component("data_loader", _models())
    return boto3.session.Session(botocore_session=core)


@cache
def _models() -> botocore.loaders.Loader:
    return botocore.loaders.create_loader()


def clients(place: HasRegion | str | None = None) -> Clients:
    """Return clients for a target's compute, or a region.

    Args:
        place: Compute that names its region, or the region itself; where neither says one:
            ``AWS_REGION``, ``AWS_DEFAULT_REGION``, the profile's, else us-east-1.

    Raises:
        AccessError: ``AWS_PROFILE`` names a profile that does not exist.
    """
    named = place if isinstance(place, str) or place is None else place.region
    region = named or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not region:
        with translated("aws"):
            region = boto3.session.Session().region_name
    return Clients(region or _DEFAULT_REGION)


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Raise botocore's errors as this package's, so that exit codes and hints are right.

    Args:
        place: What was being done, for the message.

    Raises:
        UnavailableError: Throttled, or the service or the network failed: trying again helps.
        AccessError: No or bad credentials, or no permission.
        StorageError: The bucket is not there.
        UsageError: AWS refused the request for another reason, which is told.
    """
    try:
        yield
    except botocore_errors.ClientError as error:
        raise _translation(place, error) from error
    except _CREDENTIAL_ERRORS as error:
        raise AccessError(
            f"{place}: no usable AWS credentials ({error})", hint=_CREDENTIAL_HINT
        ) from error
    except botocore_errors.ParamValidationError as error:
        raise UsageError(f"{place}: the request is malformed ({error})") from error
    except (botocore_errors.HTTPClientError, botocore_errors.BotoCoreError) as error:
        raise UnavailableError(
            f"{place}: AWS could not be reached ({error})",
            hint="look at the network, the region and AWS_ENDPOINT_URL, then try again",
        ) from error


def error_code(error: botocore_errors.ClientError) -> str:
    """Return the code that AWS gave, or the HTTP status as text."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _translation(place: str, error: botocore_errors.ClientError) -> CrispError:
    code = error_code(error)
    said = error.response.get("Error", {}).get("Message", "")
    detail = f"{code}: {said}" if said else code
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _BAD_CREDENTIALS:
        return AccessError(
            f"{place}: AWS refused the credentials ({detail})", hint=_CREDENTIAL_HINT
        )
    if code in _NO_ACCESS:
        return AccessError(
            f"{place}: no permission for {error.operation_name} ({detail})",
            hint="the role or user needs this action on this resource; docs/emr.md lists all",
        )
    if code in _TRY_AGAIN or status >= 500:  # noqa: PLR2004 - HTTP's server errors
        return UnavailableError(
            f"{place}: AWS asks to try again later ({detail})",
            hint="it was tried several times already; wait a minute and run the same command",
        )
    if code == "NoSuchBucket":
        return StorageError(
            f"{place}: there is no such bucket ({detail})",
            hint="create it, or correct the name in the project file",
        )
    return UsageError(f"{place}: AWS refused {error.operation_name} ({detail})")


def _config() -> Config:
    return Config(
        retries={"mode": "adaptive", "total_max_attempts": _ATTEMPTS},
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        max_pool_connections=_POOL,
        user_agent_extra=f"crisp-spark/{__version__}",
    )
