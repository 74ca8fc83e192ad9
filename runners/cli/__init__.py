"""The command ``nbeval``. Each command's module is imported only when it is called.

Commands that need no torch, such as tabular searches, tables and figures, do not load it.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import os
import signal
import sys
from pathlib import Path

import click

from nasbench_eval import __version__
from nasbench_eval.errors import NbevalError, ReaderGone
from nasbench_eval.utils.signals import Stopped, stoppable

COMMANDS = {
    "run": "runners.cli.run:run",
    "reproduce": "runners.cli.reproduce:reproduce",
    "compare": "runners.cli.analysis:compare",
    "plot": "runners.cli.plot:plot",
    "report": "runners.cli.report:report",
    "export": "runners.cli.export:export",
    "import": "runners.cli.imports:import_",
    "rank": "runners.cli.rank:rank",
    "status": "runners.cli.status:status",
    "clean": "runners.cli.status:clean",
    "methods": "runners.cli.methods:methods",
    "table": "runners.cli.table:table",
    "data": "runners.cli.data:data",
    "fetch": "runners.cli.data:fetch_all",
}


RESUMABLE = ("run", "reproduce", "rank", "fetch", "table fetch", "table build", "table train", "data fetch")
"""Commands that leave what they have done when they are stopped, and go on from there."""


class _LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; it is no error if its reader goes (``table info | head -1``), unless work is left undone."""
        try:
            Path.cwd()
        except FileNotFoundError:
            raise NbevalError("the current folder has been removed: change to one that is there") from None
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError as error:
            # click would exit with 1 here. Writing again tells whether it was this pipe, not one to a worker.
            try:
                click.echo()
            except BrokenPipeError:
                _drop_output()
                if isinstance(error, ReaderGone):
                    raise NbevalError(
                        "stopped, as nobody reads its output any more; the same command goes on from the last finished "
                        "step"
                    ) from None
                ctx.exit(0)
            raise
        return result


NO_MEMORY = ("can't allocate memory", "Storage size calculation overflowed", "out of memory")
"""What torch's errors of this kind say; they are RuntimeErrors."""


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="nbeval")
def cli() -> None:
    """Weight-sharing NAS against the standard baselines on NAS-Bench-201, from search to table and figure."""


OUTPUTS = ("--output", "--out", "--plots", "--tidy", "-o")
"""What the options that say where to write are called, or may be taken to be called."""


def _with_output_hint(error: click.NoSuchOption) -> click.NoSuchOption:
    """Return the error with the option that says where the command writes, where the unknown one was to say that."""
    if error.option_name not in OUTPUTS or error.ctx is None:
        return error
    options = [(name, each) for each in error.ctx.command.params for name in each.opts if name in OUTPUTS]
    if not options:
        return error
    own = " or ".join(f"{name} {option.metavar or 'FILE'}" for name, option in options)
    message = f"{error.message} This command writes to what {own} says."
    return click.NoSuchOption(error.option_name, message, ctx=error.ctx)


def _is_resumable() -> bool:
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    return any(" ".join(words[:count]) in RESUMABLE for count in (1, 2))


def _say(error: click.ClickException) -> None:
    """Say in one line what was wrong with the call, and where its help is."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()  # its message is the help
        return
    if isinstance(error, click.NoSuchOption):
        error = _with_output_hint(error)
    context = error.ctx if isinstance(error, click.UsageError) else None
    where = f" See `{context.command_path} --help`." if context is not None else ""
    click.echo(f"nbeval: {' '.join(error.format_message().split())}{where}", err=True)


def _say_waiting() -> None:
    with contextlib.suppress(OSError):
        os.write(2, b"\nnbeval: asked to stop; finishes the step at hand first, such as an epoch (again: at once)\n")


def main() -> None:
    """Run ``nbeval``; a mendable error is one line and exit code 1, or 2 where the call itself is off."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):  # None if the calling program has closed it
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - open until the process ends
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        # Names of files may be any bytes, and not every encoding has ± and –.
        sys.stdout.reconfigure(errors="backslashreplace")
    # Figures go to files only. A backend meant for windows or notebooks may be missing here, and matplotlib then fails.
    os.environ["MPLBACKEND"] = "agg"
    try:
        with stoppable(_say_waiting):
            cli.main(prog_name="nbeval", standalone_mode=False)
    except click.ClickException as error:
        _say(error)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt) as error:
        # click turns the one into the other.
        number = signal.SIGTERM if isinstance(error.__cause__ or error, Stopped) else signal.SIGINT
        what_next = "; the same command goes on from the last finished step" if _is_resumable() else ""
        click.echo(f"nbeval: stopped{what_next}", err=True)
        sys.exit(128 + number)
    except NbevalError as error:
        click.echo(f"nbeval: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        # A path that the system does not let us use, wherever it was met.
        where = f"{error.filename}: " if error.filename is not None else ""
        click.echo(f"nbeval: {where}{error.strerror or error}", err=True)
        if error.filename is None and error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            _drop_output()  # the output could not be written: the interpreter is not to try again at its end
        sys.exit(1)
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not any(words in str(error) for words in NO_MEMORY):
            raise
        click.echo("nbeval: not enough memory: use smaller settings, or --scale small", err=True)
        sys.exit(1)


def _drop_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
