"""Process that has imported everything a run needs, and forks `fastgan` commands from there.

Importing takes seconds, so tests that end many processes start them here. It reads a JSON list of
commands per line, runs them at the same time, and answers with a JSON list of [status, output].

A command is {"argv", "env", "cwd"}. With "signal", a signal's number, it gets that signal at one of

- "seconds": so long after its start;
- "event": before the n-th time that it opens, renames, makes or removes a file in --out;
- "step": before its n-th step.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time

# The first optimiser imports _dynamo, which takes as long as torch.
import torch._dynamo  # noqa: F401
from PIL import PngImagePlugin  # noqa: F401
from torch.utils import tensorboard  # noqa: F401

import fastgan.cli.train  # noqa: F401
from fastgan import cli
from fastgan.data import open_dataset
from fastgan.training import loop, report
from fastgan.training.step import TrainStep

FILE_EVENTS = {"open", "os.rename", "os.mkdir", "os.remove"}


def countdown(command: dict, count: int):
    """Return a function that sends this process its signal at the `count`-th call."""
    left = count

    def tick() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), command["signal"])

    return tick


def child(command: dict) -> None:
    os.environ.update(command.get("env", {}))
    os.chdir(command.get("cwd", "."))
    sys.argv = ["fastgan", *command["argv"]]
    if "event" in command:
        out, tick = sys.argv[sys.argv.index("--out") + 1], countdown(command, command["event"])
        sys.addaudithook(
            lambda event, args: (
                tick() if event in FILE_EVENTS and str(args[0]).startswith(out) else None
            )
        )
    if "step" in command:
        step, tick_step = TrainStep.__call__, countdown(command, command["step"])
        TrainStep.__call__ = lambda *args: (tick_step(), step(*args))[1]
    cli.main()


def start(command: dict):
    # It is read when the child has ended.
    output = tempfile.TemporaryFile()  # noqa: SIM115
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            child(command)
        except SystemExit as stop:
            status = stop.code or 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    if "seconds" in command:
        time.sleep(command["seconds"])
        os.kill(pid, command["signal"])
    return pid, output


def end(pid: int, output) -> tuple[int, str]:
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    output.seek(0)
    return status, output.read().decode()


def serve() -> None:
    measure = loop.measure
    # Measuring 2,000 samples takes longer than the rest of the run.
    loop.measure = lambda *args, **more: measure(*args, **more, samples=50)
    report.draw_curves = lambda rows, **_: b"curves"
    open_dataset("digits", resolution=8)
    # A fork copies one thread only.
    assert threading.active_count() == 1
    for line in sys.stdin:
        running = [start(command) for command in json.loads(line)]
        print(json.dumps([end(*each) for each in running]), flush=True)


if __name__ == "__main__":
    serve()
