"""Which model answers: a fixed one, or the one that an alias points at."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock

from crisp_spark.errors import CrispError, ModelError, UsageError
from crisp_spark.serving.endpoint.aliases import (
    FolderStore,
    S3Store,
    Store,
    fetch_bundle,
    newest_move,
)
from crisp_spark.serving.endpoint.reading import Limits
from crisp_spark.serving.endpoint.s3 import S3
from crisp_spark.serving.endpoint.service import Endpoint, Holder
from crisp_spark.serving.endpoint.shadow import Shadow
from crisp_spark.serving.endpoint.signature import Model

Load = Callable[[Path], Model]
"""Loads a bundle's folder."""


class FixedModel:
    """One model for ever."""

    trouble = ""

    def __init__(self, model: Model) -> None:
        self._model = model

    def current(self) -> Model:
        """Return the model."""
        return self._model


class FollowedAlias:
    """The model that an alias points at; a moved alias is followed, a broken move is not.

    A new bundle is fetched, checked and loaded while the old one goes on answering in the other
    threads. Where any of this fails, or the store does not answer, the old one stays and
    ``trouble`` says why; the next look tries again.

    Args:
        store: The model's place.
        alias: The alias.
        load: Loads a bundle.
        refresh_seconds: Time between two looks at the alias.
        cache: Folder for bundles.
        clock: Seconds that only rise.

    Raises:
        CrispError: There is no model to begin with.
    """

    def __init__(
        self,
        store: Store,
        alias: str,
        load: Load,
        *,
        refresh_seconds: float,
        cache: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._alias, self._load = store, alias, load
        self._refresh, self._cache, self._clock = refresh_seconds, cache, clock
        self._looking = Lock()
        self._key = ""
        self._trouble = ""
        model = self._newer()
        if model is None:
            raise ModelError(
                f"model: alias {alias!r} points at nothing in {store.place}",
                hint="`crisp deploy` publishes a model and moves the alias",
            )
        self._model = model
        self._next = clock() + refresh_seconds

    @property
    def trouble(self) -> str:
        """Why the alias could not be followed; empty where it was."""
        return self._trouble

    def current(self) -> Model:
        """Return the model, after a look at the alias where it is time for one."""
        if self._clock() >= self._next and self._looking.acquire(blocking=False):
            try:
                self._model = self._newer() or self._model
                self._trouble = ""
            except CrispError as error:
                self._trouble = error.message
            finally:
                self._next = self._clock() + self._refresh
                self._looking.release()
        return self._model

    def _newer(self) -> Model | None:
        found = newest_move(self._store, self._alias, self._key)
        if found is None:
            return None
        key, move = found
        model = self._load(fetch_bundle(self._store, move, self._cache))
        self._key = key
        return model


@dataclass(frozen=True)
class Settings:
    """How an endpoint is set up; each has a variable of the environment.

    Attributes:
        model: Folder of a bundle, or the place of a model with aliases (``CRISP_MODEL``).
        alias: Alias to follow; empty where ``model`` is a bundle (``CRISP_ALIAS``).
        refresh_seconds: Time between two looks at the alias (``CRISP_REFRESH_SECONDS``).
        stage: Where it runs, for metrics (``CRISP_STAGE``).
        shadow: Alias of a second model that scores the same requests beside (``CRISP_SHADOW``).
        output: Where answers to files go (``CRISP_OUTPUT``).
        limits: What one request may cost (``CRISP_MOST_BYTES``, ``CRISP_MOST_ROWS``,
            ``CRISP_MOST_SECONDS``).
    """

    model: str
    alias: str = ""
    refresh_seconds: float = 60.0
    stage: str = "local"
    shadow: str = ""
    output: str = ""
    limits: Limits = field(default_factory=Limits)


def settings_of(environ: Mapping[str, str], *, stage: str, model: str = "") -> Settings:
    """Read the settings of the environment.

    Args:
        environ: Variables.
        stage: Where it runs, unless a variable says so.
        model: Folder of a bundle, unless a variable names another place.

    Raises:
        UsageError: No model is named, or a number is none.
    """
    place = environ.get("CRISP_MODEL") or model
    if not place:
        raise UsageError("CRISP_MODEL: a bundle, or a model's place, is needed")
    limits = Limits()
    return Settings(
        model=place,
        alias=environ.get("CRISP_ALIAS", ""),
        refresh_seconds=_number(environ, "CRISP_REFRESH_SECONDS", 60.0),
        stage=environ.get("CRISP_STAGE") or stage,
        shadow=environ.get("CRISP_SHADOW", ""),
        output=environ.get("CRISP_OUTPUT", ""),
        limits=Limits(
            bytes=int(_number(environ, "CRISP_MOST_BYTES", limits.bytes)),
            rows=int(_number(environ, "CRISP_MOST_ROWS", limits.rows)),
            seconds=_number(environ, "CRISP_MOST_SECONDS", limits.seconds),
        ),
    )


def _number(environ: Mapping[str, str], name: str, otherwise: float) -> float:
    text = environ.get(name, "")
    try:
        number = float(text) if text else otherwise
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):
        raise UsageError(f"{name}: a number above 0 is needed, got {text!r}")
    return number


def open_holder(settings: Settings, load: Load) -> Holder:
    """Open the place that the settings name, and load the model.

    Raises:
        CrispError: There is no sound model.
    """
    remote = settings.model.startswith(("s3://", "s3a://"))
    if not settings.alias:
        if remote:
            raise UsageError(
                "CRISP_ALIAS: a model in S3 is found by an alias", hint="name one, e.g. champion"
            )
        return FixedModel(load(Path(settings.model)))
    store: Store = S3Store(settings.model, S3()) if remote else FolderStore(Path(settings.model))
    return FollowedAlias(
        store,
        settings.alias,
        load,
        refresh_seconds=settings.refresh_seconds,
        cache=Path(os.environ.get("CRISP_CACHE") or tempfile.gettempdir()) / "crisp-bundles",
    )


def open_shadow(settings: Settings, load: Load) -> Shadow | None:
    """Return what follows the alias in the shadow; None where none is named.

    The model is opened when the first request has been answered: that it is missing or damaged is
    no reason not to start.

    Raises:
        UsageError: There is no alias beside which it could stand, or it is the same one.
    """
    if not settings.shadow:
        return None
    if settings.shadow == settings.alias or not settings.alias:
        raise UsageError(
            "CRISP_SHADOW: it is the alias of another model of the same place, got "
            f"{settings.shadow!r} beside CRISP_ALIAS {settings.alias!r}",
            hint="CRISP_ALIAS=champion CRISP_SHADOW=challenger",
        )
    wanted = replace(settings, alias=settings.shadow)
    return Shadow(lambda: open_holder(wanted, load), retry_seconds=settings.refresh_seconds)


def open_endpoint(settings: Settings, load: Load) -> Endpoint:
    """Open everything that the settings name.

    Raises:
        CrispError: There is no sound model to answer, or the settings contradict each other.
    """
    return Endpoint(
        open_holder(settings, load),
        limits=settings.limits,
        stage=settings.stage,
        shadow=open_shadow(settings, load),
    )
