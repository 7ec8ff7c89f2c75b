"""The command itself: help, versions, exit statuses, and one sentence for every error."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

import fastgan as package
from fastgan import cli
from fastgan.cli import COMMANDS, train
from fastgan.cli.parse import parse
from fastgan.errors import FastganError
from fastgan.ops import BackendStatus
from fastgan.recipes.errors import RecipeError
from fastgan.training.progress import say


@pytest.mark.parametrize(
    "before,after",
    [
        ({}, {"OMP_WAIT_POLICY": "PASSIVE"}),
        ({"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "active"}),
        ({"GOMP_SPINCOUNT": "9"}, {"GOMP_SPINCOUNT": "9"}),
    ],
)
def test_threads_wait_passively_unless_the_environment_says_how(before, after):
    cli.wait_passively(before)
    assert before == after


def test_the_command_sets_the_waiting_before_torch_is_imported(monkeypatch):
    told = []
    monkeypatch.setattr(cli, "wait_passively", lambda environment: told.append("waiting"))
    monkeypatch.setattr(cli, "run", lambda arguments: told.append("run") or 0)
    with pytest.raises(SystemExit):
        cli.main()
    assert told == ["waiting", "run"]


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["--debug"]])
def test_help(fastgan, arguments):
    outcome = fastgan(*arguments)
    assert outcome.status == 0 and outcome.out.startswith("usage: fastgan COMMAND")
    assert all(
        command in outcome.out for command in ("train", "sample", "doctor", "--version", "--debug")
    )


def test_version(fastgan):
    assert fastgan("--version") == (0, f"fastgan {package.__version__}\n", "")


def test_version_and_help_do_not_import_torch():
    code = (
        "import sys, fastgan.cli as c; c.run([]); c.run(['--version']); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)


def test_python_dash_m():
    run = subprocess.run([sys.executable, "-m", "fastgan", "trian"], capture_output=True, text=True)
    assert run.returncode == 2 and run.stdout == ""
    assert (
        run.stderr == "fastgan: Unknown command 'trian': did you mean 'train'? The commands are "
        f"{', '.join(COMMANDS)}.\n"
    )


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("paint", "Unknown command 'paint': The commands are train, "),
        ("report runs/x", "Unknown command 'report': fastgan train writes report.html into --out"),
        ("sampel x", "Unknown command 'sampel': did you mean 'sample'?"),
        (
            "train dcgn",
            "Unknown recipe 'dcgn': did you mean 'dcgan'? The recipes are gan, dcgan, cgan, wgan",
        ),
        ("train stylegan9", "Unknown recipe 'stylegan9'"),
        ("train dcgan --batchsize 3", "Unknown option '--batchsize': did you mean '--batch'?"),
        ("train dcgan --g_hidden 3", "Unknown option '--g_hidden'"),
        ("train dcgan --batchsize=3", "Unknown option '--batchsize': did you mean '--batch'?"),
        ("train dcgan --chekpoint-every 3", "did you mean '--checkpoint-every'?"),
        ("train dcgan mnist5k", "Unexpected argument 'mnist5k': see fastgan train dcgan --help."),
        ("train dcgan --batch many", "--batch must be a whole number, got 'many'."),
        ("train dcgan --batch 1.5", "--batch must be a whole number, got '1.5'."),
        ("train dcgan --lr fast", "--lr must be a number, got 'fast'."),
        ("train dcgan --d-lr fast", "--d-lr must be a number, got 'fast'."),
        ("sample x --out y --truncation-cutoff z", "must be a whole number, got 'z'."),
        ("convert a --out b", "The command needs OUT."),
        (
            "evaluate x --features foo",
            "--features must be one of digits, faces, inception, mobilenet, got",
        ),
        ("train dcgan --batch", "--batch must be a number, got none."),
        ("train dcgan --betas 0.5", "--betas must be 2 numbers, separated by a space, got fewer."),
        (
            "train dcgan --betas 0.5 x",
            "--betas must be 2 numbers, separated by a space, got '0.5',",
        ),
        ("train stylegan3", "did you mean 'stylegan3-t' or 'stylegan3-r'?"),
        (
            "train dcgan --cycle-weight 1",
            "Unknown option '--cycle-weight': it is for cyclegan, unit.",
        ),
        (
            "sweep dcgan --cycle-weight 1",
            "Unknown option '--cycle-weight': it is for cyclegan, unit.",
        ),
        ("train gan --measure fd,kd", "Separate several by spaces: --measure fd kd."),
        ("evaluate x --metrics fd,kd", "Separate several by spaces: --metrics fd kd."),
        (
            "sample x --out y.png --translate 0.25",
            "--translate must be 2 numbers, separated by a space, got '0.25'.",
        ),
        ("train gan --data ring --mirror", "--mirror must be off for points, got True"),
        (
            "train gan --data ring --augment diffaugment",
            "--augment must be none for points, got 'diffaugment'",
        ),
        ("train gan --loss henge", "got 'henge'. Did you mean 'hinge'?"),
        ("train gan --batch 1", "--batch must be at least 2 (batch norm needs it), got 1."),
        ("train gan --keep 0", "--keep must be at least 1, got 0."),
        (
            "train dcgan --resolution 28",
            "--resolution must be one of 16, 32, 64, 128, 256 for dcgan, got 28",
        ),
        ("train dcgan --resolution -5", "--resolution must be from 4 to 4096 pixels, got -5"),
        ("train dcgan --data mnist6k", "did you mean 'mnist5k'?"),
        ("train dcgan --data ./no/such/folder", "no/such/folder"),
        ("train gan --measure-every -1", "--measure-every must be at least 0, got -1."),
        ("train gan --workers -1", "--workers must be at least 0, got -1."),
        ("train gan --compile all", "--compile must be one of off, step, got 'all'."),
        ("sample", "The command needs CHECKPOINT and --out."),
        ("sample no/such.pt --out x.png", "There is no checkpoint 'no/such.pt'."),
        ("sample x.pt --out x.jpg", "--out must be a file that ends in .png, got 'x.jpg'."),
        ("sample x.pt --out x.png --rows 0", "--rows must be at least 1, got 0."),
        ("doctor --fix", "Unknown option '--fix'"),
    ],
)
def test_what_a_person_can_mend(refused, tmp_path, monkeypatch, line, sentence):
    monkeypatch.chdir(tmp_path)
    assert sentence in refused(*line.split())
    assert list(tmp_path.iterdir()) == []


def test_lines_of_a_run_name_options():
    console = train.OptionsConsole(file=io.StringIO())
    say(console, "cropped: on average 33% of 1 picture; `fit` pad or stretch keeps all")
    assert console.file.getvalue().endswith("; --fit pad or stretch keeps all\n")


def test_a_backend_that_is_none_is_named(refused, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASTGAN_BACKEND", "refrence")
    said = refused("train", "gan")
    assert (
        "Unknown backend 'refrence': did you mean 'reference'?" in said
        and "FASTGAN_BACKEND" in said
    )


def test_a_backend_that_cannot_run_is_refused_before_anything_is_made(
    refused, monkeypatch, tmp_path
):
    broken = {"cpu": BackendStatus("cpu", False, ("cpu",), "it is broken", "mend it")}
    monkeypatch.setattr("fastgan.cli.environment.backends", lambda: broken)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASTGAN_BACKEND", "cpu")
    said = refused("train", "gan", "--data", "digits")
    assert said == "The backend 'cpu' of FASTGAN_BACKEND can't run here: it is broken; mend it."
    assert not list(tmp_path.iterdir())


def test_debug_shows_the_traceback(monkeypatch):
    """Python prints it, as the error isn't caught."""
    for position in (["--debug", "train", "dcgn"], ["train", "dcgn", "--debug"]):
        monkeypatch.setattr("sys.argv", ["fastgan", *position])
        with pytest.raises(RecipeError, match="Unknown recipe"):
            cli.main()


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (FastganError("Two\nlines."), 2, "fastgan: Two lines.\n"),
        (
            OSError(28, "No space left on device", "runs/log.jsonl"),
            2,
            "fastgan: No space left on device: 'runs/log.jsonl'.\n",
        ),
        (OSError(28, "No space left on device"), 2, "fastgan: No space left on device.\n"),
        (
            ZeroDivisionError("oops"),
            1,
            "fastgan: internal error, ZeroDivisionError: oops; --debug shows the traceback.\n",
        ),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_exit_statuses(fastgan, monkeypatch, error, status, said):
    def fail(arguments):
        raise error

    monkeypatch.setattr(cli, "run", fail)
    assert fastgan("anything") == (status, "", said)


def test_a_warning_is_one_line():
    code = (
        "import warnings; from fastgan import cli; "
        "cli.run = lambda _: warnings.warn('A b.'); cli.main()"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "fastgan: warning: A b.\n")


def test_a_reader_that_goes_away_is_no_error():
    code = "import sys; sys.argv[1:] = ['--help']; from fastgan.cli import main; main()"
    shell = f'{sys.executable} -c "{code}" | true; echo ${{PIPESTATUS[0]}}'
    run = subprocess.run(["bash", "-c", shell], capture_output=True, text=True)
    assert run.stdout.strip() in ("0", "141") and run.stderr == ""


def test_an_error_that_tyro_words_differently_is_still_a_sentence(monkeypatch):
    def cli_of_the_future(*args, **kwargs):
        import sys

        print("error: something new", file=sys.stderr)
        sys.exit(2)

    monkeypatch.setattr("fastgan.cli.parse.tyro.cli", cli_of_the_future)
    with pytest.raises(cli.UsageError, match=r"^error: something new\. See fastgan x --help\.$"):
        parse(int, [], prog="fastgan x")
