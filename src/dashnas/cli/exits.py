"""What each kind of failure tells the user, and the exit code it ends with."""

import errno
import shlex
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from dashnas.errors import DashnasError, StorageError, UserError, is_out_of_memory

OURS = 1
"""A failure that the user did not cause."""
USERS = 2
"""Something to mend in what was given or in the place to write to; Typer's own code for wrong usage."""
STOPPED = 130
"""Ctrl-C, as shells report it."""

_GOES_ON = ("bench", "fit", "search", "retrain", "tasks")

_OF_THE_MACHINE = (errno.EACCES, errno.EDQUOT, errno.EIO, errno.ENAMETOOLONG, errno.ENOSPC, errno.EPERM, errno.EROFS)
"""Failures of files and disks that are nobody's bug."""


class ExitCodes(TyperGroup):
    """The commands, with errors turned into a message on standard error and an exit code.

    An unexpected exception passes, so that Python shows its traceback and exits with code 1.
    """

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Keep what was typed, for the line that says how to go on."""
        typed = list(args)
        context = super().make_context(info_name, args, parent, **extra)
        context.meta["dashnas.typed"] = typed
        return context

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            result = super().invoke(ctx)
            if sys.stdout is not None:  # as it is where the shell closed it
                sys.stdout.flush()  # while a closed pipe can still be dealt with
            return result
        except (UserError, StorageError) as error:
            raise _ends(error, USERS) from None
        except DashnasError as error:
            raise _ends(error, OURS) from None
        except OSError as error:
            if error.errno not in _OF_THE_MACHINE:
                raise
            where = "" if error.filename is None else f"{error.filename}: "
            raise _ends(f"{where}{error.strerror}; choose another place, or mend that one", USERS) from None
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise _ends(
                "not enough memory; a smaller --batch-size or --width, or smaller --kernel-sizes need less", USERS
            ) from None
        except KeyboardInterrupt:
            typer.echo(_how_to_go_on(ctx), err=True)
            raise typer.Exit(STOPPED) from None


def _ends(error: DashnasError | str, code: int) -> typer.Exit:
    typer.echo(f"error: {error}", err=True)
    return typer.Exit(code)


def _how_to_go_on(context: Any) -> str:
    if context.invoked_subcommand not in _GOES_ON:
        return "stopped"
    return f"stopped; to go on, give the same command again: dashnas {shlex.join(context.meta['dashnas.typed'])}"
