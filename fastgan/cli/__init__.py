"""The `fastgan` command. Importing this is quick: torch comes only with the command that needs it.

Exit statuses: 0 done; 1 an error inside fastgan; 2 something a person can mend (one sentence on stderr);
3 `diagnose` saw a failure;
128 + n ended by signal n (130 Ctrl-C, 143 SIGTERM). `--debug` anywhere shows the traceback of an error.
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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from fastgan._version import __version__
from fastgan.errors import FastganError
from fastgan.names import never_fail, printable, unknown

COMMANDS = {
    "train": "train a GAN, or go on with a run",
    "sample": "draw images from a checkpoint",
    "translate": "translate pictures with a checkpoint of pix2pix, cyclegan and their kind",
    "evaluate": "measure what a checkpoint makes against real images",
    "diagnose": "say which failure of GAN training a run shows, and what may help",
    "compare": "show runs side by side: settings, measures, curves, samples",
    "project": "find the latent of an image in a StyleGAN2",
    "export": "write a network to a file that other programs open",
    "convert": "read a StyleGAN2 of another implementation, safely, and write it as .safetensors",
    "doctor": "show versions, and which backends are usable here",
}
"""Every command, a module of this package with `run(arguments) -> exit status`, and what it does."""

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
    """The command line can't be understood; the message says what it should be."""


def main() -> NoReturn:
    """Runs the command of `sys.argv` and exits with its status."""
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
        # What reads our output has gone; Python would complain once more when it flushes at exit.
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


def run(arguments: Sequence[str]) -> int:
    """Runs one command line, without the program's name, and returns the exit status.

    Raises UsageError, or what the command raises.
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
    """Prints an error that a person can mend as one sentence on stderr; returns the exit status 2."""
    message = str(error)
    if isinstance(error, OSError) and error.strerror:
        message = (
            f"{error.strerror}: {error.filename!r}." if error.filename else f"{error.strerror}."
        )
    print(f"{_speaker()}: {_line(message)}", file=sys.stderr)
    return 2


def say(line: str) -> None:
    """Print a line on stdout, with the names in it made printable."""
    print(printable(line))


def _line(message: object) -> str:
    """Return a message as one line that any stream takes, bytes in quoted names spelt as in others."""
    text = _QUOTED_BYTES.sub(_bytes, " ".join(str(message).split()))
    return printable(text)


_QUOTED_BYTES = re.compile(r"(?:\\udc[89a-f][0-9a-f])+")
"""How `repr` writes the bytes of a name that Python couldn't decode."""


def _bytes(quoted: re.Match[str]) -> str:
    return quoted[0].encode().decode("unicode_escape")


def _speaker() -> str:
    """Who says it, where several processes do."""
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    return f"fastgan, process {os.environ['RANK']}" if several else "fastgan"


def _tell_torchrun(error: Exception) -> None:
    """Leaves the error where torchrun's own report of a failed process takes it from."""
    if path := os.environ.get("TORCHELASTIC_ERROR_FILE"):
        said = f"{type(error).__name__}: {error}"
        details = {"py_callstack": said, "timestamp": str(int(time.time()))}
        Path(path).write_text(json.dumps({"message": {"message": said, "extraInfo": details}}))


MEANT = {
    "report": "fastgan train writes report.html into --out when a run ends, and fastgan compare makes a page "
    "of several runs",
    "resume": "fastgan train RECIPE --out RUN --resume goes on with a run",
    "generate": "fastgan sample draws images",
    "metrics": "fastgan evaluate measures a checkpoint",
    "info": "fastgan doctor shows versions and backends",
}
"""What does it, for words that people try."""


def _no_command(name: str) -> str:
    if name in MEANT:
        return f"Unknown command {name!r}: {MEANT[name]}. The commands are {', '.join(COMMANDS)}."
    return unknown("command", name, COMMANDS, cutoff=0.65)


def _one_line(message: Warning | str, *place: object, **line: object) -> str:
    """A warning as `warnings.formatwarning` gives it, without the place in the code."""
    return f"{_speaker()}: warning: {_line(message)}\n"
