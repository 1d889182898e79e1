"""The command line: `realism`. Nothing heavy is imported here."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from realism.base.errors import RealismError, sentence
from realism.base.signals import Stopped, stopped_by_signals
from realism.base.texts import printable

if TYPE_CHECKING:
    from realism.plugins.registry import Entry


class CommandGroup(TyperGroup):
    """Our commands, and those that plugins register."""

    def list_commands(self, ctx: Any) -> list[str]:
        from realism.plugins.manager import plugins

        return [*super().list_commands(ctx), *(e.name for e in plugins().registry.entries("command"))]

    def get_command(self, ctx: Any, name: str) -> Any:
        from realism.plugins.manager import plugins

        own = super().get_command(ctx, name)
        entry = None if own else plugins().registry.find(name, "command")
        return _command(entry) if entry else own

    def invoke(self, ctx: Any) -> Any:
        """Carry out a command. A part or a plugin that fails, or tries to end the program, is named; what ends as it
        likes is the command of a plugin."""
        from realism.plugins.faults import faults_reported
        from realism.plugins.manager import plugins

        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            raise Stopped(stop) from None
        except BaseException as error:
            ends = isinstance(error, SystemExit | typer.Abort) or hasattr(error, "exit_code")
            unread = isinstance(error.__context__, BrokenPipeError)  # by `| head`: rich then ends the program
            if unread or (ends and ctx.invoked_subcommand not in self.commands):
                raise
            with faults_reported(plugins().registry):
                raise


def _command(entry: Entry) -> Any:
    """A plugin's group of commands. One that cannot be loaded says so when it is called or listed, and no sooner."""
    try:
        return typer.main.get_command(entry.load())
    except Exception as error:  # of ours: what the plugin's module raises is a RealismError
        trouble = error if isinstance(error, RealismError) else RealismError(f"command '{entry.name}': {error}")

    def say() -> None:
        raise trouble

    left_out = typer.Typer(add_completion=False)
    left_out.command(entry.name, help=f"Left out: {trouble}")(say)
    return typer.main.get_command(left_out)


app = typer.Typer(
    name="realism",
    cls=CommandGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich's help takes a third of a second to import
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("realism"))
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Make text-to-image models more realistic: retrieve, reward, filter, train and judge, in one recipe."""


RecipeArgument = Annotated[str, typer.Argument(help="A recipe: its file, or its name in `realism recipes`.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="key=value, such as generator.steps=8.", show_default=False)
]
Allow = Annotated[
    list[str] | None,
    typer.Option(
        "--allow",
        metavar="[variable@]origin",
        help="Where a recipe may send something without encryption, such as http://10.0.0.5:8000, or an environment "
        "variable with a key, such as LAB_KEY@https://llm.example.org. Can be given several times.",
        show_default=False,
    ),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


@app.command()
def run(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder; by default runs/NAME, or runs/NAME-HASH with overrides.")
    ] = None,
    fresh: Annotated[
        list[str] | None, typer.Option(metavar="STEP", help="A step to do anew, though it is done: its title.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    allowed: Allow = None,
    debug: Debug = False,
) -> None:
    """Carry out a recipe, or go on where it was stopped."""
    from realism.cli.work import run_recipe

    run_recipe(recipe, overrides or [], out, fresh or [], allowed or [], quiet)


@app.command()
def check(recipe: RecipeArgument, overrides: Overrides = None, allowed: Allow = None, debug: Debug = False) -> None:
    """Say all that is wrong with a recipe; run nothing."""
    from realism.cli.recipes import check_recipe

    check_recipe(recipe, overrides or [], allowed or [])


@app.command()
def show(recipe: RecipeArgument, overrides: Overrides = None, allowed: Allow = None, debug: Debug = False) -> None:
    """Print a recipe as it would run, with all it extends."""
    from realism.cli.recipes import show_recipe

    show_recipe(recipe, overrides or [], allowed or [])


@app.command()
def parts(
    name: Annotated[str | None, typer.Argument(help="A part or a step.", show_default=False)] = None,
    debug: Debug = False,
) -> None:
    """List parts and steps, or print one with its options."""
    from realism.cli.listing import list_parts, show_part

    show_part(name) if name else list_parts()


@app.command()
def recipes(debug: Debug = False) -> None:
    """List the recipes that can be run by name."""
    from realism.cli.listing import list_recipes

    list_recipes()


@app.command("plugins")
def plugins_(debug: Debug = False) -> None:
    """List the plugins that were found, and why one is left out."""
    from realism.cli.listing import list_plugins

    list_plugins()


@app.command()
def runs(
    folder: Annotated[Path, typer.Argument(help="Where to look.")] = Path("runs"),
    debug: Debug = False,
) -> None:
    """List the runs below a folder, newest first, and how they stand."""
    from realism.cli.runs import list_runs

    list_runs(folder)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="The folder of a run, or its name in `realism runs`.")],
    debug: Debug = False,
) -> None:
    """Write report.html of a run anew, from what it has done so far."""
    from realism.cli.work import write_report

    write_report(folder)


@app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(help="Two runs or more: folders, or names in `realism runs`.")],
    out: Annotated[Path | None, typer.Option(help="The page; by default runs/compare-HASH.html.")] = None,
    debug: Debug = False,
) -> None:
    """Show runs side by side on one page: settings, measures, pictures of the same prompts."""
    from realism.cli.comparing import compare_runs

    compare_runs(runs, out)


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="The folder of a run, or its name in `realism runs`.")],
    debug: Debug = False,
) -> None:
    """Read all files of a run, and say which are not as they were written."""
    from realism.cli.verify import verify_run

    verify_run(folder)


@app.command()
def doctor(debug: Debug = False) -> None:
    """Say whether this machine has what recipes need, and what to do about what is missing. Exit code 1 if something
    will fail."""
    from realism.cli.doctor import diagnose

    raise typer.Exit(1 if diagnose() else 0)


@app.command("new-plugin")
def new_plugin(
    name: Annotated[str, typer.Argument(help="The plugin's name, such as sharpness.")],
    kind: Annotated[str, typer.Option(help="What it is: reward, generator, step, trainer, metric, ...")] = "reward",
    folder: Annotated[Path, typer.Option(help="Where to put it.")] = Path(),
    debug: Debug = False,
) -> None:
    """Write a new plugin: a part or a step that works, its test, its packaging."""
    from realism.cli.scaffold import write_plugin

    write_plugin(name, folder, kind)


def main() -> None:
    """Run the command line. A user's mistake ends in one sentence and exit code 2."""
    with stopped_by_signals():
        try:
            app(prog_name="realism")
        except Exception as error:
            if "--debug" in sys.argv:
                raise
            code, message = _exit(error)
            with contextlib.suppress(OSError, ValueError):  # the terminal may be gone
                print(printable(message), file=sys.stderr)
            raise SystemExit(code) from None


def _exit(error: Exception) -> tuple[int, str]:
    """The exit code for an error, and what is printed: a recipe's problems as they are, all else in a line."""
    if isinstance(error, RealismError):
        return error.exit_code, str(error) if "\n" in str(error) else f"realism: {error}"
    if isinstance(error, OSError):
        return 2, f"realism: {sentence(error)}"
    return 1, f"realism: {sentence(error)}; --debug shows the line, for a report of it"
