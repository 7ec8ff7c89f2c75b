"""Run a session: ``python3 -m tools.gpu_session.session --out FOLDER`` on a machine with a GPU.

It needs torch 2.11 or newer and no network, and takes at most ``--budget`` seconds. Every stage
runs in processes of its own with a limit; one that fails is recorded, and the rest go on. After
each figure ``FOLDER/results.json`` is written anew in one piece, so the time may end at any moment.
After each stage the table so far is printed: the last 60 lines of the output are the latest one.

``--device cpu --quick`` is a dry run on tiny sizes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from tools.gpu_session.context import FACT, FIGURE
from tools.gpu_session.results import Figure, SessionResults, StageResult, Status
from tools.gpu_session.stage import PACKAGES
from tools.gpu_session.table import table

ROOT = Path(__file__).resolve().parents[2]
WHEELS = ROOT / "build" / "gpu_session" / "wheels"
BUDGET = 420.0
#: Seconds of a dry run.
QUICK = 60.0
#: Seconds at the end in which nothing runs any more.
RESERVE = 5.0
#: Seconds between the end that a stage is told and the one at which it is killed.
GRACE = 3.0


@dataclass(frozen=True)
class Stage:
    """A stage of the session.

    Args:
        name: module in ``tools.gpu_session.stages``.
        seconds: the most that it gets.
        least: what earlier stages leave for it, in a session of :data:`BUDGET` seconds.
        parts: parts that run at the same time on a GPU.
    """

    name: str
    seconds: float
    least: float
    parts: tuple[str, ...] = ("",)


STAGES = (
    Stage("environment", 40.0, 10.0),
    Stage("smoke", 60.0, 20.0, ("cuda", "triton 1/3", "triton 2/3", "triton 3/3")),
    Stage("tests", 100.0, 30.0),
    Stage("host", 25.0, 10.0),
    Stage("kernels", 80.0, 30.0),
    Stage("steps", 100.0, 50.0),
    Stage("training", math.inf, 45.0),
)
Command = Callable[[Stage, str, float], Sequence[str]]


class Stopped(Exception):
    """The machine asked the session to end."""


@dataclass
class Session:
    """A session: its results so far, and the processes of the current stage.

    Args:
        results: results, which are saved after every change.
        out: folder of ``results.json`` and ``log.txt``.
        stages: stages in their order.
        command: ``command(stage, part, seconds)`` returns the program of a part.
        say: receiver of each line of the table.
    """

    results: SessionResults
    out: Path
    stages: Sequence[Stage]
    command: Command
    say: Callable[[str], None] = print
    began: float = field(default_factory=time.monotonic)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def left(self) -> float:
        """Seconds in which something may still run."""
        return self.results.budget - RESERVE - (time.monotonic() - self.began)

    def run(self) -> None:
        """Run all stages that there is time for."""
        self.out.mkdir(parents=True, exist_ok=True)
        self.save()
        with (self.out / "log.txt").open("a", encoding="utf-8") as log:
            for place, stage in enumerate(self.stages):
                later = sum(other.least for other in self.stages[place + 1 :])
                share = self.results.budget / BUDGET
                # A dry run has no limits but its own, since other work may slow it down.
                most = math.inf if self.results.quick else stage.seconds
                limit = min(most, self.left - later * min(1.0, share))
                limit = max(limit, min(self.left, stage.least * share))
                result = StageResult(stage.name, "running", round(limit, 1))
                self.results.stages.append(result)
                if limit < min(1.0, stage.least):
                    result.status, result.limit = "skipped", 0.0
                    result.message = "no time was left"
                else:
                    self._run_stage(stage, result, log)
                self.save()
                for line in table(self.results):
                    self.say(line)
                if result.status == "stopped":
                    return

    def save(self) -> None:
        """Write the results so far."""
        with self._lock:
            self.results.seconds = round(time.monotonic() - self.began, 1)
            self.results.save(self.out / "results.json")

    def _run_stage(self, stage: Stage, result: StageResult, log: TextIO) -> None:
        began = time.monotonic()
        parts = stage.parts if self.results.device == "cuda" else ("",)
        running: list[_Part] = []
        try:
            for name in parts:
                running.append(_Part(name, self.command(stage, name, result.limit - GRACE)))
                running[-1].follow(lambda line: self._take(line, result, log))
            for part in running:
                part.wait(until=began + result.limit)
            result.status, result.message = _verdict(running)
        except Stopped:
            result.status, result.message = "stopped", "the machine asked for the end"
        finally:
            for part in running:
                part.end()
            result.seconds = round(time.monotonic() - began, 1)

    def _take(self, line: str, result: StageResult, log: TextIO) -> bool:
        """Take a line of a stage's output; return True if it was a result."""
        with self._lock:
            try:
                if line.startswith(FIGURE):
                    result.add(Figure(**json.loads(line[len(FIGURE) :])))
                elif line.startswith(FACT):
                    self.results.environment |= json.loads(line[len(FACT) :])
                else:
                    log.write(line)
                    log.flush()
                    return False
            except (TypeError, ValueError) as error:
                log.write(f"a result that can't be read ({error}): {line}")
                return False
            self.save()
            return True


class _Part:
    """A process of a stage, with the last lines of its output."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self.tail: deque[str] = deque(maxlen=20)
        self.code: int | None = None
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        self._child = subprocess.Popen(
            list(command),
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def follow(self, take: Callable[[str], bool]) -> None:
        """Give each line of the output to ``take`` until it ends."""

        def read() -> None:
            assert self._child.stdout is not None
            for line in self._child.stdout:
                if not take(line) and line.strip():
                    self.tail.append(line.strip())

        self._reader = threading.Thread(target=read, daemon=True)
        self._reader.start()

    def wait(self, until: float) -> None:
        """Wait for the process until a time; ``code`` stays None if it goes on."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.code = self._child.wait(timeout=max(0.0, until - time.monotonic()))
            self._reader.join(timeout=2.0)

    def end(self) -> None:
        """End the process with all that it started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(timeout=1.0)
        self._reader.join(timeout=1.0)


def _verdict(parts: Sequence[_Part]) -> tuple[Status, str]:
    """Return how a stage ended, and why."""
    late = [part for part in parts if part.code is None]
    failed = [part for part in parts if part.code]
    names = {part.name: f"{part.name}: " if len(parts) > 1 else "" for part in parts}
    messages = [
        f"{names[part.name]}{part.tail[-1] if part.tail else 'no output'} (status {part.code})"
        for part in failed
    ]
    if late:
        ran = ", ".join(filter(None, (part.name for part in late)))
        messages.append(f"its time was over{f': {ran}' if ran else ''}")
    status: Status = "failed" if failed else "timed out" if late else "done"
    return status, "\n".join(messages)


def unpack(wheels: Path, folder: Path) -> None:
    """Unpack wheels, so that packages that the machine lacks can be imported from ``folder``."""
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)


def command_of(results: SessionResults, out: Path) -> Command:
    """Return the command of a stage's part in this session."""
    common = ["--device", results.device, "--seed", str(results.seed), "--out", str(out)]
    common += ["--quick"] * results.quick

    def command(stage: Stage, part: str, seconds: float) -> list[str]:
        started = [sys.executable, "-m", "tools.gpu_session.stage", stage.name]
        return [*started, "--part", part, "--seconds", f"{seconds:.1f}", *common]

    return command


def _show(line: str) -> None:
    print(line, flush=True)


def main(arguments: list[str] | None = None) -> int:
    began = time.monotonic()
    parser = argparse.ArgumentParser(
        prog="python -m tools.gpu_session.session", description=__doc__.splitlines()[0]
    )
    names = [stage.name for stage in STAGES]
    parser.add_argument("--out", type=Path, required=True, help="folder for results.json")
    parser.add_argument("--budget", type=float, help=f"seconds in all; usually {BUDGET:.0f}")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="a dry run on tiny sizes")
    parser.add_argument("--seed", type=int, help="seed; a random one if it is left out")
    parser.add_argument("--stage", nargs="+", choices=names, default=names, help="these alone")
    parser.add_argument("--wheels", type=Path, default=WHEELS, help="packages to carry along")
    given = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    budget = given.budget or (QUICK if given.quick else BUDGET)
    results = SessionResults(given.device, given.quick, seed, budget)
    out = given.out.resolve()
    print(f"session with seed {seed}, {budget:.0f} seconds: {out}/results.json", flush=True)

    def stop(*_: object) -> None:
        raise Stopped

    before = signal.signal(signal.SIGTERM, stop)
    try:
        with tempfile.TemporaryDirectory() as packages:
            unpack(given.wheels, Path(packages))
            os.environ[PACKAGES] = packages
            stages = [stage for stage in STAGES if stage.name in given.stage]
            command = command_of(results, out)
            Session(results, out, stages, command, _show, began).run()
    except Stopped:
        print("the machine asked for the end", flush=True)
    finally:
        os.environ.pop(PACKAGES, None)
        signal.signal(signal.SIGTERM, before)
    return 0 if all(stage.status == "done" for stage in results.stages) else 1


if __name__ == "__main__":
    sys.exit(main())
