"""Folders and files of any name, from training to export, and on ASCII terminals."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import warnings
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from fastgan.training.run_dir import RunDir

PIL = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="elsewhere names are text")

NOT_UTF8 = os.fsdecode(b"caf\xe9")
SHOWN = r"caf\xe9"
AWKWARD = os.fsdecode(b"-\xe9 <b>$x &amp; [red] :smile: 100%s \"'\\ \xf0\x9f\x98\x80\n\x1b[2J\xff")
"""A dash, bytes that aren't UTF-8, markup of HTML, rich and string templates, quotes, an emoji, a
line break, and what clears a terminal."""

SMALL = (
    "--resolution 16 --batch 8 --device cpu --measure-samples 10 --z-dim 4 --g-hidden 4 "
    "--d-hidden 4"
)
TRANSLATES = "--resolution 16 --batch 2 --device cpu --ngf 1 --ndf 1 --patch 16 --measure none"
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}


def write_pictures(folder: Path, count: int) -> Path:
    """Colour pictures of 16×16 in two classes whose names aren't UTF-8 either."""
    draw = np.random.default_rng(0)
    for i in range(count):
        path = folder / os.fsdecode(b"\xe9" if i % 2 else b"\xea") / f"{AWKWARD[1:]}{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.fromarray(draw.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
    return folder


@pytest.fixture(params=[NOT_UTF8, AWKWARD], ids=["latin-1", "awkward"])
def name(request):
    return request.param


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in, so that names come as a person types them."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Page(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)

    def handle_data(self, data):
        self.text += data


def one_line(text: str) -> bool:
    """True for what moves no cursor and encodes as UTF-8."""
    text.encode()
    return all(c.isprintable() or c == "\n" for c in text)


def test_a_run_and_all_that_is_made_of_it(fastgan, here, name):
    write_pictures(here / name, 24)
    data, run = f"./{name}", f"runs/{name}"

    def ok(*arguments) -> str:
        outcome = fastgan(*arguments)
        assert outcome.status == 0, outcome.err
        assert one_line(outcome.out) and one_line(outcome.err)
        return outcome.out

    begun = ok("train", "gan", f"--data={data}", *SMALL.split(), "--total-images", 64, "--out", run,
               "--log-every", 8, "--measure", "fd", "--measure-features", "digits")  # fmt: skip
    assert r"\xe9" in begun and "Made:" in begun
    resumed = ok("train", "gan", "--out", run, "--resume", "--total-images", 80)
    assert "Resumed after 64 images." in resumed

    folder = RunDir(Path(run))
    assert json.loads(folder.config.read_text())["settings"]["data"] == data
    assert len(list(folder.tensorboard.iterdir())) == 2
    assert not [path for path in folder.root.rglob("*.tmp*")]
    page = Page(folder.report.read_text("utf-8"))
    assert (
        "b" not in page.tags and r"\xe9" in page.text and "[red]" in page.text
    ) or name == NOT_UTF8
    command = re.search(r"fastgan sample .* --out more.png --seed 1", page.text)
    assert command is not None

    ok("compare", run, "runs/../" + run, "--out", f"{name}.html")
    compared = Path(f"{name}.html").read_text("utf-8")
    assert "b" not in Page(compared).tags and r"\xe9" in Page(compared).text
    ok("sample", run, "--out", f"./{name}.png", "--rows", 1, "--columns", 2)
    ok("sample", run, "--out", f"./{name}-seeds/", "--seeds", "1-2")
    measured = ok("evaluate", run, "--samples", 10, "--features", "digits",
                  "--out", f"./{name}.json", "--neighbours", f"./{name}-n.png")  # fmt: skip
    assert r"\xe9" in measured
    found = json.loads(Path(f"{name}.json").read_text("ascii"))
    assert one_line(found["data"]["name"]) and one_line(found["checkpoint"]["path"])
    judged = fastgan("diagnose", run, "--out", f"./{name}-d.json")
    assert judged.status in (0, 3) and one_line(judged.out), judged.err
    for form, suffix in (("safetensors", "safetensors"), ("torch-export", "pt2")):
        ok("export", run, "--to", form, "--out", f"./{name}/{name}.{suffix}")
        assert Path(f"./{name}/{name}.{suffix}").stat().st_size


@pytest.mark.slow
def test_onnx_goes_into_a_folder_of_any_name(fastgan, here, name):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    write_pictures(here / name, 24)
    trained = fastgan(
        "train",
        "gan",
        f"--data=./{name}",
        *SMALL.split(),
        "--total-images",
        8,
        "--out",
        f"runs/{name}",
    )
    assert trained.status == 0, trained.err
    outcome = fastgan("export", f"runs/{name}", "--to", "onnx", "--out", f"./{name}/{name}.onnx")
    assert outcome.status == 0, outcome.err
    onnx.load_from_string(Path(f"./{name}/{name}.onnx").read_bytes())


def test_pictures_are_translated(fastgan, here, name):
    write_pictures(here / name, 8)
    run, out = f"runs/{name}", f"out/{name}"
    trained = fastgan(
        "train",
        "colorize",
        f"--data=./{name}",
        *TRANSLATES.split(),
        "--total-images",
        2,
        "--out",
        run,
    )
    assert trained.status == 0 and one_line(trained.out), trained.err
    assert "fastgan translate" in Page(RunDir(Path(run)).report.read_text("utf-8")).text
    outcome = fastgan("translate", run, f"./{name}", "--out", out)
    assert outcome.status == 0 and one_line(outcome.out), outcome.err
    names = [path.relative_to(out) for path in Path(out).rglob("*.png")]
    assert sorted(names) == sorted(path.relative_to(name) for path in Path(name).rglob("*.png"))


def test_what_is_refused_is_said_in_one_line(refused, here, name):
    for arguments in (
        ("sample", f"./{name}", "--out", "x.png"),
        ("sample", "x", "--out", f"./{name}"),
        ("diagnose", f"./{name}"),
        ("compare", f"./{name}", f"./{name}2"),
        ("train", "gan", f"--data=./{name}"),
        ("translate", "x", f"./{name}", "--out", "y"),
        ("convert", f"./{name}.pkl", f"./{name}.safetensors"),
        ("evaluate", "x", f"--weights=./{name}"),
        (f"{name}",) if not name.startswith("-") else (f"x{name}",),
    ):
        said = refused(*arguments)
        assert one_line(said), arguments


def test_unreadable_files_are_named(fastgan, here, name):
    write_pictures(here / name, 24)
    (here / name / os.fsdecode(b"\xe9") / f"{AWKWARD[1:]}bad.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match="not an image") as warned:
        outcome = fastgan(
            "train", "gan", f"--data=./{name}", *SMALL.split(), "--total-images", 8, "--out", "r"
        )
    assert outcome.status == 0, outcome.err
    said = warnings.formatwarning(warned[0].message, UserWarning, "", 0)
    assert one_line(said) and said.count("\n") == 1 and r"bad.png" in said


def test_a_terminal_that_knows_ascii_alone(here):
    """Every command in one process in the C locale, whose file names aren't UTF-8 either."""
    folder = "naïve-é"
    write_pictures(here / folder, 24)
    lines = [
        f"train gan --data ./{folder} {SMALL} --total-images 16 --out runs/{folder} --measure none",
        f"train gan --resume --out runs/{folder} --total-images 24",
        f"sample runs/{folder} --out {folder}.png --rows 1",
        f"compare runs/{folder} runs/../runs/{folder} --out {folder}.html",
        f"evaluate runs/{folder} --samples 10 --features digits --out {folder}.json",
        f"export runs/{folder} --to safetensors --out {folder}.safetensors",
        f"diagnose runs/{folder}",
        "train gan --help",
        "doctor",
        "sample runs/ñ --out x.png",
    ]
    # The arguments come as bytes, as a shell gives them.
    code = (
        "import sys\n"
        "from fastgan import cli\n"
        "sets = [part.split('\\x1f') for part in sys.argv[1].split('\\x1e')]\n"
        "for words in sets:\n"
        "    sys.argv = ['fastgan', *words]\n"
        "    try:\n"
        "        cli.main()\n"
        "    except SystemExit as stop:\n"
        "        print('status', stop.code or 0)\n"
    )
    packed = "\x1e".join("\x1f".join(shlex.split(line)) for line in lines).encode()
    env = (
        os.environ | ASCII | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    )
    run = subprocess.run([sys.executable, "-c", code, packed], capture_output=True, env=env)
    out, err = run.stdout.decode("ascii"), run.stderr.decode("ascii")
    assert run.returncode == 0, err
    assert re.findall(r"^status (\d+)$", out, re.M) == [
        "0",
        "0",
        "0",
        "0",
        "0",
        "0",
        "2",
        "0",
        "0",
        "2",
    ], err
    assert "3x16x16" in out and "Resumed after 16 images." in out
    assert "internal error" not in err and r"na\xefve-\xe9" in out and r"runs/\xf1" in err
    for page in (f"runs/{folder}/report.html", f"{folder}.html"):
        assert folder in Page(Path(page).read_text("utf-8")).text
    # What the C locale stored is opened where names are UTF-8.
    assert (
        json.loads(Path(f"runs/{folder}/config.json").read_text())["settings"]["data"]
        == f"./{folder}"
    )
