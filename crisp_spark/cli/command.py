"""What all commands share: options, errors and exit codes."""

from __future__ import annotations

import inspect
import json
import logging
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crisp_spark.cli.output import Output, failure
from crisp_spark.errors import EX_BUG, CrispError, UsageError

if TYPE_CHECKING:
    from crisp_spark.spec.load import LoadedProject

EX_INTERRUPTED = 130
DEFAULT_PROJECT = Path("crisp.yml")

_Project = Annotated[
    Path, typer.Option("--project", "-p", metavar="FILE", help="The project file.")
]
_Target = Annotated[
    str | None,
    typer.Option(
        "--target", metavar="NAME", help="Target of the project file; else its default one."
    ),
]
_Var = Annotated[
    list[str] | None,
    typer.Option("--var", metavar="NAME=VALUE", help="Set a variable; may be repeated."),
]
_Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Change a value, e.g. modeling.search.trials=20; may be repeated.",
    ),
]
_Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
_Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and all logs.")]
_Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show logs on stderr.")]

_OUTPUT_OPTIONS: dict[str, tuple[Any, Any]] = {
    "as_json": (_Json, False),
    "debug": (_Debug, False),
    "verbose": (_Verbose, False),
}
_PROJECT_OPTIONS: dict[str, tuple[Any, Any]] = {
    "project": (_Project, DEFAULT_PROJECT),
    "target": (_Target, None),
    "var": (_Var, None),
    "set_": (_Set, None),
}


@dataclass(frozen=True)
class Shared:
    """Values of the options that commands share.

    Attributes:
        out: Where results go.
        project: The project file.
        target: Target asked for.
        var: ``NAME=VALUE`` texts.
        set_: ``PATH=VALUE`` texts.
        debug: Whether tracebacks are shown.
        verbose: Whether logs are shown.
    """

    out: Output
    project: Path = DEFAULT_PROJECT
    target: str | None = None
    var: list[str] = field(default_factory=list)
    set_: list[str] = field(default_factory=list)
    debug: bool = False
    verbose: bool = False

    def load(self) -> LoadedProject:
        """Load the project file with all its layers."""
        from crisp_spark.spec.load import load_project

        return load_project(
            self.project,
            target=self.target,
            variables=dict(_pair(text) for text in self.var),
            overrides=self.set_,
        )

    @property
    def command_options(self) -> str:
        """The options that name project and target, as they are typed."""
        project = "" if self.project == DEFAULT_PROJECT else f" --project {self.project}"
        return f"{project} --target {self.target}" if self.target else project


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise UsageError(f"--var: expected NAME=VALUE, got {text!r}")
    return name, value


def command(
    app: typer.Typer, name: str, *, project: bool = True, panel: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a command; its function gets a :class:`Shared` before its own options.

    Args:
        app: Where it is registered.
        name: Its name.
        project: Whether it works on a project file.
        panel: Heading below which ``crisp --help`` lists it.
    """
    options = (_PROJECT_OPTIONS if project else {}) | _OUTPUT_OPTIONS

    def register(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def guarded(**values: Any) -> None:
            given = {key: values.pop(key) for key in options}
            shared = _shared(given)
            _set_up_logs(shared)
            _guard(lambda: function(shared, **values), shared)

        own = inspect.signature(function, eval_str=True).parameters
        parameters = [parameter for key, parameter in own.items() if key != "shared"]
        parameters += [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=value, annotation=kind)
            for key, (kind, value) in options.items()
        ]
        ordered = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
        vars(guarded)["__signature__"] = inspect.Signature(ordered)
        guarded.__annotations__ = {one.name: one.annotation for one in ordered}
        del guarded.__wrapped__  # Typer would follow it
        app.command(name, rich_help_panel=panel)(guarded)
        return guarded

    return register


def _shared(given: dict[str, Any]) -> Shared:
    out = Output(as_json=given.pop("as_json"))
    values = {
        key: [] if value is None and key in {"var", "set_"} else value
        for key, value in given.items()
    }
    return Shared(out=out, **values)


def _set_up_logs(shared: Shared) -> None:
    """Show this package's warnings, and more when asked for; of other packages errors only."""
    level = logging.DEBUG if shared.debug else logging.INFO if shared.verbose else logging.WARNING
    form = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    others = level if shared.verbose or shared.debug else logging.ERROR
    logging.basicConfig(
        level=others, stream=sys.stderr, format=form, datefmt="%H:%M:%S", force=True
    )
    logging.getLogger("crisp_spark").setLevel(level)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_not_of_interrupts)
    for noisy in ("py4j", "alembic", "botocore", "urllib3", "git", "matplotlib"):
        logging.getLogger(noisy).setLevel(max(others, logging.WARNING))


def _not_of_interrupts(record: logging.LogRecord) -> bool:
    """Whether a record is not py4j's account, with tracebacks, of closing a connection."""
    return record.msg not in {
        "KeyboardInterrupt while sending command.",
        "Exception occurred while shutting down connection",
    }


def _guard(work: Callable[[], None], shared: Shared) -> None:
    """Run a command; every way it can end badly becomes a message and an exit code."""
    try:
        work()
    except CrispError as error:
        if shared.debug:
            traceback.print_exc()
        failure(error, as_json=shared.out.as_json)
        raise typer.Exit(error.exit_code) from None
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("\ninterrupted; what was finished is kept\n")
        raise typer.Exit(EX_INTERRUPTED) from None
    except BrokenPipeError:
        # `crisp ... | head`: the reader has seen enough.
        sys.stdout = None
        raise typer.Exit(0) from None
    except typer.Exit:
        raise
    except Exception as error:  # noqa: BLE001  # the last line of defence
        if shared.debug:
            traceback.print_exc()
        _bug(error, shared)
        raise typer.Exit(EX_BUG) from None


def _bug(error: Exception, shared: Shared) -> None:
    what = f"{type(error).__name__}: {error}"
    if shared.out.as_json:
        body = {"kind": "bug", "message": what, "exit_code": EX_BUG}
        sys.stdout.write(json.dumps({"error": body}) + "\n")
    hint = "" if shared.debug else "; --debug shows where"
    sys.stderr.write(f"crisp: unexpected {what}\n  hint: this is a bug{hint}\n")
