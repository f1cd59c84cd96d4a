"""Waiting for AWS: without an end, with jitter, through throttling and lost connections."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from botocore import exceptions as botocore_errors
from botocore.config import Config

from crisp_spark.aws.clients import Clients, new_session, translated
from crisp_spark.errors import UnavailableError

logger = logging.getLogger(__name__)
T = TypeVar("T")

_CONNECT_SECONDS = 10
_READ_SECONDS = 60
_GROWTH = 1.3


@dataclass(frozen=True)
class Pace:
    """How often AWS is asked.

    Attributes:
        first: Seconds before the second question.
        longest: Seconds that waits grow to.
        sleep: Waits.
    """

    first: float = 15.0
    longest: float = 60.0
    sleep: Callable[[float], None] = time.sleep

    def waits(self) -> Iterator[float]:
        """Yield waits in seconds for ever: growing, each up to a quarter shorter or longer.

        Many clients that started together drift apart.
        """
        wait = self.first
        while True:
            yield wait * random.uniform(0.75, 1.25)  # noqa: S311  # no secret
            wait = min(wait * _GROWTH, self.longest)


def patiently(
    call: Callable[[], T],
    *,
    pace: Pace,
    told: Callable[[str], None] = lambda _text: None,
) -> T:
    """Make a call that changes nothing, again and again until AWS answers.

    Args:
        call: The call; raises :class:`~crisp_spark.errors.UnavailableError` when trying again
            can help.
        pace: How long to wait between tries.
        told: Told of each failed try.

    Raises:
        CrispError: What trying again does not help.
    """
    for wait in pace.waits():
        try:
            return call()
        except UnavailableError as error:
            logger.info("%s; next try in %.0f s", error.message, wait)
            told(f"{error.message}; trying again")
            pace.sleep(wait)
    raise AssertionError("waits never end")  # pragma: no cover


class LostAnswerError(UnavailableError):
    """The connection broke after a request was sent: it may have been carried out."""


def single_shot(aws: Clients, service: str) -> Any:
    """Return a client that sends each request once.

    RunJobFlow and AddJobFlowSteps have no token that makes them idempotent: sent again after a
    lost answer, as clients usually do, they would start a second cluster.
    """
    retries: Any = {"mode": "standard", "total_max_attempts": 1}
    return new_session().client(
        service,
        region_name=aws.region,
        config=Config(
            retries=retries, connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS
        ),
    )


def sent_once(place: str, call: Callable[[], T]) -> T:
    """Make a call of a single-shot client.

    Raises:
        LostAnswerError: The request may have been carried out.
        UnavailableError: It was not (throttled, or the connection was never made).
        CrispError: AWS refused it.
    """
    try:
        with translated(place):
            return call()
    except UnavailableError as error:
        cause = error.__cause__
        never_sent = isinstance(
            cause,
            botocore_errors.ConnectTimeoutError
            | botocore_errors.EndpointConnectionError
            | botocore_errors.ProxyConnectionError,
        )
        if never_sent or _throttled(cause):
            raise
        raise LostAnswerError(error.message, hint=error.hint) from error


def _throttled(cause: BaseException | None) -> bool:
    if not isinstance(cause, botocore_errors.ClientError):
        return False
    status = int(cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return status < 500  # noqa: PLR2004  # HTTP's server errors
