"""Published models: bundles beside each other, and aliases that say which one answers."""

from __future__ import annotations

import getpass
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from crisp_spark.engine.objects import ObjectStore
from crisp_spark.errors import ModelError, StorageError, UnavailableError, UsageError
from crisp_spark.run.places import open_place
from crisp_spark.serving.endpoint.aliases import Move, digest_of, move_key, read_move
from crisp_spark.spec.compute import AwsCompute
from crisp_spark.spec.load import LoadedProject

BUNDLE = "model.crisp.zip"
_TRIES = 5


class Models:
    """The models of a project, where endpoints find them.

    Args:
        objects: Their place.
        model: Name of the model.
    """

    def __init__(self, objects: ObjectStore, model: str) -> None:
        self._objects = objects
        self.model = model

    @property
    def place(self) -> str:
        """Path or URI."""
        return self._objects.root

    def keys_after(self, folder: str, after: str = "") -> list[str]:
        """Return keys below a folder, in order, that follow ``after``."""
        return [found.key for found in self._objects.stat(folder) if found.key > after]

    def read(self, key: str) -> bytes:
        """Return an object."""
        return self._objects.read(key)

    def history(self, alias: str) -> list[Move]:
        """Return all moves of an alias, the first one first."""
        keys = [key for key in self.keys_after(f"aliases/{alias}") if key.endswith(".json")]
        return [read_move(self, key) for key in keys]

    def publish(self, bundle: bytes, version: str, alias: str, *, by: str, reason: str) -> Move:
        """Publish a bundle and move the alias to it; where it points there already, nothing moves.

        The bundle lies whole before the alias names it: a crash in between moves nothing.

        Args:
            bundle: The bundle's file.
            version: Version of the model.
            alias: Alias to move.
            by: Who moves it.
            reason: Why.
        """
        files = {BUNDLE: hashlib.sha256(bundle).hexdigest()}
        digest = digest_of(files)
        moves = self.history(alias)
        if moves and moves[-1].digest == digest:
            return moves[-1]
        key = f"bundles/{digest}/{BUNDLE}"
        if not self._objects.put_if_absent(key, bundle) and self._objects.read(key) != bundle:
            raise StorageError(f"model: {self.place}/{key} is damaged", hint="remove it")
        move = Move(0, alias, self.model, version, digest, files, "", by, reason)
        return self._move(move)

    def promote(self, alias: str, *, to: str, by: str, reason: str) -> Move:
        """Move an alias to what another one points at; if it points there, nothing moves.

        Args:
            alias: Alias to move, such as the champion's.
            to: The other alias, such as the challenger's.
            by: Who moves it.
            reason: Why.

        Raises:
            UsageError: The other alias points at nothing, or there is no reason.
            ModelError: Its bundle is damaged.
        """
        if not reason.strip():
            raise UsageError("promote: a reason is needed", hint='--reason "..."')
        others = self.history(to)
        if not others:
            raise UsageError(f"promote: alias {to!r} points at nothing")
        target, moves = others[-1], self.history(alias)
        if moves and moves[-1].digest == target.digest:
            return moves[-1]
        self._check(target, "promote")
        return self._move(replace(target, alias=alias, by=by, reason=reason, kind="promote"))

    def roll_back(self, alias: str, *, to: str | None, by: str, reason: str) -> Move:
        """Move an alias back.

        Args:
            alias: The alias.
            to: Version; the one before the present one when None.
            by: Who moves it.
            reason: Why.

        Raises:
            UsageError: There is no such version to go back to, or no reason.
            ModelError: Its bundle is damaged.
        """
        if not reason.strip():
            raise UsageError("rollback: a reason is needed", hint='--reason "..."')
        moves = self.history(alias)
        target = _target(moves, alias, to)
        self._check(target, "rollback")
        return self._move(replace(target, by=by, reason=reason, kind="rollback"))

    def _check(self, target: Move, what: str) -> None:
        for name, digest in target.files.items():
            content = self._objects.read(f"bundles/{target.digest}/{name}")
            if hashlib.sha256(content).hexdigest() != digest:
                raise ModelError(
                    f"{what}: the bundle of {target.model} {target.version} is damaged",
                    hint="publish it again, or choose another version",
                )

    def _move(self, move: Move) -> Move:
        for _ in range(_TRIES):
            moves = self.history(move.alias)
            number = moves[-1].number + 1 if moves else 1
            made = replace(move, number=number, at=datetime.now(UTC).isoformat(timespec="seconds"))
            if self._objects.put_if_absent(move_key(move.alias, number), made.as_bytes()):
                return made
        raise UnavailableError(f"model: alias {move.alias} is moved by others all the time")


def _target(moves: Sequence[Move], alias: str, to: str | None) -> Move:
    if not moves:
        raise UsageError(f"rollback: alias {alias!r} points at nothing")
    now = moves[-1]
    known = [move for move in reversed(moves) if move.digest != now.digest]
    if to is not None:
        if to == now.version:
            raise UsageError(f"rollback: {alias} points at version {to} already")
        known = [move for move in known if move.version == to]
    elif now.kind == "rollback":
        # A second roll-back goes on from where the first one landed.
        first = next(move for move in moves if move.digest == now.digest)
        known = [move for move in known if move.number < first.number]
    if not known:
        versions = ", ".join(dict.fromkeys(move.version for move in moves))
        raise UsageError(
            f"rollback: {alias} has no {'version ' + to if to else 'earlier version'}",
            hint=f"it pointed at: {versions}",
        )
    return known[0]


def models_of(project: LoadedProject) -> Models:
    """Return where a project's models are published: in S3 where it deploys there."""
    spec, compute = project.spec, project.compute
    name = spec.deployment.model_name or spec.project.name
    place = spec.deployment.endpoint.artifacts
    if not place and isinstance(compute, AwsCompute):
        place = compute.artifacts
    root = (place or spec.project.workspace).rstrip("/")
    return Models(open_place(f"{root}/models/{name}", base=project.project_dir), name)


def who(name: str | None) -> str:
    """Return a person's name, that of the account where none is given."""
    return name or getpass.getuser()
