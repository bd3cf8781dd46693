"""The command line, made from the signatures of the tasks.

Each file of `lookalike.tasks` is a command. Its flags, their defaults, ranges and help are the
parameters of its function and their docstring; a task that takes `**how` also gets the flags of
`open_data`, and `train` those of the recipe that is named. Exit codes: 0 done; 1 done, and what was asked does
not hold (`verify`), or the doctor ended a training (`train --on-collapse stop`); 2 the user's mistake, in a line
that begins "error:"; 130 interrupted, after saving; a traceback is our bug.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import pkgutil
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import docstring_parser
from click.shell_completion import CompletionItem, get_completion_class

from .errors import UserError, nearest
from .options import EVERYTHING, Option, options_of, parse
from .spec import Kind

HERE = Path(__file__).parent
SHELLS = ("bash", "zsh", "fish")
SHORT = {"out": "-o", "n": "-n"}
NO_MEMORY = re.compile(r"(can't|cannot|Cannot) allocate memory|(not enough|out of) memory|size calculation overflowed")
"""What torch says, with no type of its own, where there is no memory on a CPU."""


def run(arguments: Sequence[str], began: Callable[[], None] | None = None) -> int:
    """Carry out one command; returns its exit code.

    Arguments:
        began: called when all is read and imported, and the task begins.
    """
    try:
        code = root().main(args=list(arguments) or ["--help"], prog_name="lookalike", standalone_mode=False, obj=began)
    except (UserError, click.ClickException) as mistake:
        words = mistake.format_message() if isinstance(mistake, click.ClickException) else str(mistake)
        sys.stderr.write(f"error: {words}\n")
        return 2
    except (KeyboardInterrupt, click.Abort) as stopped:
        if not str(stopped.__cause__ or stopped):  # a training says itself where it was saved
            sys.stderr.write("stopped\n")
        return 130
    except (RuntimeError, MemoryError, OSError) as fault:
        if not (words := _of_the_machine(fault)):
            raise
        sys.stderr.write(f"error: {words}\n")
        return 2
    return code or 0  # what a click `Exit` carried


def _of_the_machine(fault: Exception) -> str:
    """The sentence on a fault that is neither ours nor in the data: no memory, no place, no permission."""
    said = str(fault).splitlines()[0] if str(fault) else ""
    if isinstance(fault, OSError):
        return f"{fault.filename}: {fault.strerror}." if fault.filename and fault.strerror else ""
    if isinstance(fault, MemoryError) or NO_MEMORY.search(said):
        asked = re.search(r"\d+(?:\.\d+)? ?(?:bytes|[KMGT]iB)", said)
        return (
            f"there is not enough memory{f' for {asked[0]} at once' if asked else ''}: choose a smaller --batch-size, "
            "size of the data or size of the model; --accumulate trains a batch in chunks."
        )
    return ""


def root() -> click.Group:
    """The command `lookalike`."""
    return _Tasks(
        name="lookalike",
        help="Generative modelling from your own unlabelled data.\n\n"
        "Try: lookalike train vae digits, then lookalike sample runs/vae-digits",
        params=[
            click.Option(["--version"], is_flag=True, expose_value=False, callback=_version, help="Print the version."),
            click.Option(
                ["--completion"],
                type=click.Choice(SHELLS),
                expose_value=False,
                callback=_completion,
                help='Print shell completion: eval "$(lookalike --completion bash)".',
            ),
        ],
        context_settings={"help_option_names": ["-h", "--help"]},
    )


class _Tasks(click.Group):
    """The tasks as sub-commands, imported only when called: torch takes a second."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        names = [m.name for m in pkgutil.iter_modules([str(HERE / "tasks")]) if not m.name.startswith("_")]
        return [name.replace("_", "-") for name in names]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(ctx):
            return None
        module = name.replace("-", "_")
        task = getattr(importlib.import_module(f"lookalike.tasks.{module}"), module)
        return _Train(name, task) if name == "train" else _Task(name, task)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-"):
            raise UserError(f"no command {args[0]!r}.{nearest(args[0], known)} `lookalike --help` lists all.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _summary(name)) for name in self.list_commands(ctx)])


class _Task(click.Command):
    """One task: its parameters are flags, its answer is printed, in words or as one JSON object."""

    def __init__(self, name: str, task: Callable[..., Any]) -> None:
        self.task = task
        words = docstring_parser.parse(inspect.getdoc(task) or "")
        examples = "\n".join(line for e in words.examples for line in (e.description or "").splitlines())
        super().__init__(
            name,
            callback=self.answer,
            help=f"{words.short_description}\n\n{words.long_description or ''}",
            epilog=f"\b\nExample:\n{examples}" if examples else None,
            params=[*(_parameter(option) for option in self.options().values()), _JSON],
            context_settings={"help_option_names": ["-h", "--help"]},
        )

    def options(self) -> dict[str, Option]:
        options = options_of(self.task)
        if "how" in inspect.signature(self.task).parameters:
            options = {**data_options(), **options}  # a task's own --split is which one, not how large they are
        return options

    def answer(self, json_: bool, **given: Any) -> None:
        if began := click.get_current_context().obj:
            began()
        report = self.task(**{name: value for name, value in given.items() if value is not None})
        if os.environ.get("RANK", "0") != "0":  # of several processes the first one answers
            return
        try:
            click.echo(json.dumps(report.json()) if json_ else str(report))
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where Python flushes the rest of it
            if not isinstance(error, BrokenPipeError):  # else the reader has enough, as `| head` does
                raise UserError(f"cannot write the answer to standard output: {error.strerror}.") from None
        if not getattr(report, "ok", True):  # a training answers with its run
            raise click.exceptions.Exit(1)


class _Train(_Task):
    """`train`, whose flags are also those of the data and of the recipe that is named."""

    def options(self) -> dict[str, Option]:
        return super().options() | data_options()

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **extra: Any) -> click.Context:
        named = self._recipe_named(args)
        if named is not None:
            from .recipe import Training, find

            recipe = find(named)
            spelt_out = {kind: recipe.resolved(kind) for kind in recipe.kinds}
            for option in {**options_of(recipe.build), **options_of(Training)}.values():
                defaults = {k: {**known.options, **known.training}[option.name] for k, known in spelt_out.items()}
                self.params.insert(-1, _parameter(option, shown=_by_kind(defaults)))
        return super().make_context(info_name, args, *rest, **extra)

    def _recipe_named(self, args: list[str]) -> str | None:
        """The first argument that is neither a flag nor the value of one."""
        takes_value = {o for p in self.params if isinstance(p, click.Option) and not p.is_flag for o in p.opts}
        before = ""
        for argument in args:
            if not argument.startswith("-") and before not in takes_value:
                return argument
            before = argument
        return None


class _Type(click.ParamType[Any]):
    """Converts by `options.parse`, so that the shell and Python refuse a value with the same sentence."""

    def __init__(self, option: Option) -> None:
        self.option = option
        self.name = {str: "text", Path: "path", int: "int", float: "number"}[option.type]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        return parse(self.option, value, ctx.info_name or "" if ctx else "")

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        return "|".join(self.option.choices) if self.option.choices else None

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        if self.option.name == "recipe":
            return [CompletionItem(name) for name in recipe_names() if name.startswith(incomplete)]
        if self.option.choices:
            return [CompletionItem(choice) for choice in self.option.choices if choice.startswith(incomplete)]
        kind = "file" if self.option.type is Path or self.option.name in ("run", "data") else "plain"
        return [CompletionItem(incomplete, type=kind)]


_JSON = click.Option(["--json", "json_"], is_flag=True, help="Print one JSON object on stdout, and nothing else there.")


def data_options() -> dict[str, Option]:
    """The flags of `open_data`, for every task that opens data."""
    from .data import open_data

    return {name: option for name, option in options_of(open_data).items() if not option.positional and name != "seed"}


def recipe_names() -> list[str]:
    """The recipes' names, read off their files without importing them: completion must be quick."""
    names: list[str] = []
    for file in sorted((HERE / "models").rglob("recipes.py")):
        for node in ast.parse(file.read_text()).body:
            targets = {ast.unparse(t) for t in getattr(node, "targets", [getattr(node, "target", node)])}
            table = getattr(node, "value", None)
            if "RECIPES" in targets and isinstance(table, ast.Dict):
                names += [str(key.value) for key in table.keys if isinstance(key, ast.Constant)]
    return names


def _parameter(option: Option, shown: Any = None) -> click.Parameter:
    """One option of a task as a click parameter; not given means not passed, so defaults stand in one place."""
    if option.positional:
        of = {"type": click.STRING, "nargs": -1} if option.many else {"type": _Type(option)}
        return click.Argument([option.name], required=option.required, **of)
    default = option.default if shown is None else shown
    told = [] if default is None else [f"default: {_told(default)}"]
    told += [str(option.range)] if option.range != EVERYTHING else []
    words = f"{option.help}  [{'; '.join(told)}]" if told else option.help
    flag = f"--{option.name.replace('_', '-')}"
    if option.type is bool:
        return click.Option([f"{flag}/--no-{flag[2:]}"], default=None, help=words)
    flags = [flag, *([SHORT[option.name]] if option.name in SHORT else [])]
    return click.Option(flags, type=_Type(option), default=None, help=words, required=option.required)


def _by_kind(defaults: Mapping[Kind, Any]) -> Any:
    """A default that all kinds of data share, or in words what it is for each."""
    kinds: dict[str, list[str]] = {}
    for kind, value in defaults.items():
        kinds.setdefault(_told(value), []).append(kind)
    if len(kinds) == 1:
        return next(iter(defaults.values()))
    return ", ".join(f"{value} for {' and '.join(of)}" for value, of in kinds.items())


def _told(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _summary(task: str) -> str:
    """The first line of a task's docstring, read without importing it."""
    module = task.replace("-", "_")
    tree = ast.parse((HERE / "tasks" / f"{module}.py").read_text())
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == module)
    return (ast.get_docstring(function) or "").partition("\n")[0]


def _version(ctx: click.Context, _param: click.Parameter, asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        click.echo(version("lookalike"))
        ctx.exit()


def _completion(ctx: click.Context, _param: click.Parameter, shell: str | None) -> None:
    if shell is not None:
        maker = get_completion_class(shell)
        assert maker is not None
        click.echo(maker(root(), {}, "lookalike", "_LOOKALIKE_COMPLETE").source())
        ctx.exit()
