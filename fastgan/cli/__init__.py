"""The `fastgan` command; importing it is quick, since only commands import torch.

Exit statuses:

- 0: done;
- 1: an error inside fastgan;
- 2: an error that a person can correct, as one sentence on stderr;
- 3: `diagnose` found a failure;
- 128 + n: ended by signal n (130 Ctrl-C, 143 SIGTERM).

`--debug` anywhere shows the traceback of an error.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import sys
import time
import warnings
from collections.abc import Callable, MutableMapping, Sequence
from pathlib import Path
from typing import NoReturn

from fastgan._version import __version__
from fastgan.errors import MARKED, FastganError
from fastgan.names import never_fail, printable, unknown

COMMANDS = {
    "train": "train a GAN, or go on with a run",
    "sweep": "train a GAN at several values of its settings, and compare the runs",
    "sample": "draw images from a checkpoint",
    "translate": "translate pictures with a checkpoint of pix2pix, cyclegan and their kind",
    "evaluate": "measure samples of a checkpoint against real images",
    "diagnose": "name the failure of GAN training that a run shows, and remedies",
    "compare": "show runs side by side: settings, measures, curves, samples",
    "project": "find the latent of an image in a StyleGAN2 or 3",
    "export": "write a network to a file for other programs",
    "convert": "read a StyleGAN of another program safely, and write it as .safetensors",
    "doctor": "show versions, and the backends that are usable here",
}
"""Commands and their meaning; each is a module here with `run(arguments) -> exit status`."""

USAGE = "\n".join(
    [
        "usage: fastgan COMMAND [OPTIONS]",
        "",
        "commands:",
        *(f"  {name:<9} {summary}" for name, summary in COMMANDS.items()),
        "",
        "options:",
        "  --help     show this, or the options of a command after its name",
        "  --version  show the version",
        "  --debug    show the traceback of an error",
    ]
)


class UsageError(FastganError):
    """The command line is wrong; the message says what it must be."""


def main() -> NoReturn:
    """Run the command of `sys.argv`, and exit with its status."""
    wait_passively(os.environ)
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    warnings.formatwarning = _one_line
    for stream in (sys.stdout, sys.stderr):
        never_fail(stream)
    try:
        status = run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        status = 128 + signal.SIGINT
    except BrokenPipeError:
        # The reader of our output is gone, and Python would complain again at its last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 128 + signal.SIGPIPE
    except (FastganError, OSError) as error:
        _tell_torchrun(error)
        if debug:
            raise
        status = complain(error)
    except Exception as error:
        _tell_torchrun(error)
        if debug:
            raise
        said = (
            f"internal error, {type(error).__name__}: {_line(error)}; --debug shows the traceback."
        )
        print(f"{_speaker()}: {said}", file=sys.stderr)
        status = 1
    sys.exit(status)


def wait_passively(environment: MutableMapping[str, str]) -> None:
    """Make OpenMP's waiting threads sleep, unless a variable already says how they wait.

    By default they spin, on cores that other processes and late threads need. OpenMP reads the
    variable when torch is imported.
    """
    if not any(name in environment for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")):
        environment["OMP_WAIT_POLICY"] = "PASSIVE"


def run(arguments: Sequence[str]) -> int:
    """Run a command line without the program's name, and return the exit status.

    Raises:
        UsageError: there is no such command.
        Exception: errors of the command.
    """
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        print(USAGE)
        return 0
    command, *rest = arguments
    if command == "--version":
        print(f"fastgan {__version__}")
        return 0
    if command not in COMMANDS:
        raise UsageError(_no_command(command))
    handler: Callable[[list[str]], int] = importlib.import_module(f"fastgan.cli.{command}").run
    return handler(rest)


def complain(error: Exception) -> int:
    """Print an error as one sentence on stderr, and return the exit status 2."""
    message = error.marked if isinstance(error, FastganError) else str(error)
    if isinstance(error, OSError) and error.strerror:
        message = (
            f"{error.strerror}: {error.filename!r}." if error.filename else f"{error.strerror}."
        )
    print(f"{_speaker()}: {_line(message)}", file=sys.stderr)
    return 2


def say(line: str) -> None:
    """Print a line on stdout: settings in backticks as options, and names made printable."""
    print(printable(with_options(line)))


def _line(message: object) -> str:
    """Return a message as one line for any stream.

    Marked names of settings become options, and bytes in quoted names are made readable.
    """
    text = _QUOTED_BYTES.sub(_bytes, " ".join(with_options(str(message)).split()))
    return printable(text)


def with_options(text: str) -> str:
    """Return a text with the option, of the same length, for each marked name of a setting."""
    return MARKED.sub(lambda name: option(name[1]), text)


def option(setting: str) -> str:
    """Return the option of a setting or an argument, such as ``--lr`` of ``lr``."""
    name = {"init_from": "from"}.get(setting, setting)
    # class_ is --class, from_ is --from.
    return "--" + name.rstrip("_").replace("_", "-")


_QUOTED_BYTES = re.compile(r"(?:\\udc[89a-f][0-9a-f])+")
"""Escapes that `repr` writes for bytes that Python couldn't decode."""


def _bytes(quoted: re.Match[str]) -> str:
    return quoted[0].encode().decode("unicode_escape")


def _speaker() -> str:
    """Return the name that a message begins with, and the process if there are several."""
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    return f"fastgan, process {os.environ['RANK']}" if several else "fastgan"


def _tell_torchrun(error: Exception) -> None:
    """Write the error to the file that torchrun's report of a failed process reads."""
    if path := os.environ.get("TORCHELASTIC_ERROR_FILE"):
        said = f"{type(error).__name__}: {error}"
        details = {"py_callstack": said, "timestamp": str(int(time.time()))}
        Path(path).write_text(json.dumps({"message": {"message": said, "extraInfo": details}}))


MEANT = {
    "report": "fastgan train writes report.html into --out when a run ends, and fastgan compare "
    "makes a page of several runs",
    "resume": "fastgan train RECIPE --out RUN --resume goes on with a run",
    "generate": "fastgan sample draws images",
    "metrics": "fastgan evaluate measures a checkpoint",
    "info": "fastgan doctor shows versions and backends",
}
"""Hints for words that people try as commands."""


def _no_command(name: str) -> str:
    if name in MEANT:
        return f"Unknown command {name!r}: {MEANT[name]}. The commands are {', '.join(COMMANDS)}."
    return unknown("command", name, COMMANDS, cutoff=0.65)


def _one_line(message: Warning | str, *place: object, **line: object) -> str:
    """Format a warning for `warnings.formatwarning` without its place in the code."""
    return f"{_speaker()}: warning: {_line(message)}\n"
