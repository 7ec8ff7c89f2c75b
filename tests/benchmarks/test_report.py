"""Tables, parts of documents, and the records of a run."""

import json
from xml.etree import ElementTree

import pytest

from benchmarks import pages, report, table
from benchmarks.chart import draw_charts
from benchmarks.document import MissingMarkers, markdown, plain, replace_part
from benchmarks.records import Block, load_records, record_of
from benchmarks.results import Comparison, Memory, Ratio, RunResults
from benchmarks.speed_chart import draw_gains
from benchmarks.targets import EAGER, FLOOR, Target
from benchmarks.timing import Timing


def comparison(measure="forward", **seconds):
    timings = {name: Timing(t, t * 0.95, t * 1.05, 9) for name, t in seconds.items()}
    unavailable = (
        {} if "compile" in seconds else {"compile": "torch.compile failed: no C++ compiler"}
    )
    return Comparison(
        "bias_act",
        "lrelu",
        measure,
        [16, 128, 64, 64],
        "float32",
        33554432,
        0.010,
        timings,
        unavailable,
    )


@pytest.fixture
def results():
    memory = Memory(
        "bias_act", "lrelu", [16, 128, 64, 64], "float32", 100_000_000, {"cpu": 67_000_000}
    )
    environment = {
        "device": "CPU",
        "machine": "a CPU",
        "threads": "2",
        "allocator": "glibc, tuned",
        "commit": "c0",
    }
    return RunResults(
        environment,
        ["cpu", "eager", "compile"],
        [
            comparison(copy=0.010, cpu=0.012, eager=0.060, compile=0.015),
            comparison("double_backward", copy=0.010, cpu=0.011, eager=0.080),
        ],
        [memory],
    )


def test_timing_table(results):
    header, rows = table.timing_table(results.comparisons, results.sides)
    assert header[:5] == ["case", "measure", "floor, ms", "fastgan cpu, ms", "× floor"]
    label = "lrelu 16×128×64×64"
    times = ["12.000", "1.20", "60.000", "6.00", "15.000", "1.50"]
    assert rows[0] == [label, "forward", "10.000", *times, "5.00×", "1.25×", "10%"]
    assert rows[1][-5:] == ["–", "–", "7.27×", "–", "10%"]
    assert table.reasons(results.comparisons) == [
        "torch.compile, double backward: torch.compile failed: no C++ compiler"
    ]


def test_memory_table(results):
    _, rows = table.memory_table(results.memory, results.sides)
    assert rows == [["lrelu 16×128×64×64", "100.0", "67.0", "67%"]]


def test_host_times_are_shown_and_kept():
    found = RunResults({}, ["cpu"], host=[Ratio("bias_act, against the formula", 8e-6, 5e-6, 1.4)])
    row = ["bias_act, against the formula", "8.0", "5.0", "1.60", "1.4"]
    assert row[0] in "\n".join(table.report_lines(found))
    (block,) = record_of(found).blocks
    assert (block.kind, block.rows) == ("host", [row])


def test_memory_table_with_scratch():
    """50 MB beyond 40 MB of results, for activations of 20 MB, and the forward pass's scratch."""
    memory = Memory(
        op="conv2d",
        case="3x3",
        shape=[8, 256, 32, 32],
        dtype="float32",
        yardstick=100_000_000,
        peaks={"cpu": 90_000_000, "eager": 50_000_000},
        activation=20_000_000,
        results=40_000_000,
        scratch={"cpu": 7_000_000},
    )
    _, rows = table.memory_table([memory], ["cpu", "eager"])
    assert rows == [["3x3 8×256×32×32", "100.0", "90.0", "2.50", "7.0", "50.0", "0.50", "–"]]
    assert "beyond its results, in activations" in table.memory_title([memory])


def test_terminal_report_holds_all(results):
    text = "\n".join(table.report_lines(results))
    for words in (
        "a CPU",
        "glibc, tuned",
        "copy_ moved 6.7 GB/s",
        "12.000",
        "5.00×",
        "67.0",
        "no C++ compiler",
    ):
        assert words in text


def test_plain_and_markdown_tables():
    assert plain(["a", "bb"], [["long", "1"]]) == ["a     bb", "--------", "long   1"]
    assert markdown(["a", "b"], [["x", "1"]]) == ["| a | b |", "| --- | ---: |", "| x | 1 |"]


def test_a_part_of_a_document_is_replaced_and_nothing_else():
    text = "above\n<!-- figures: begin -->\nold\n<!-- figures: end -->\nbelow\n"
    once = replace_part(text, "figures", ["new"])
    assert once == "above\n<!-- figures: begin -->\n\nnew\n\n<!-- figures: end -->\nbelow\n"
    assert replace_part(once, "figures", ["new"]) == once


@pytest.mark.parametrize("text", ["", "<!-- a: begin -->", "<!-- a: end --><!-- a: begin -->"])
def test_missing_markers(text):
    with pytest.raises(MissingMarkers, match=r"<!-- a: begin --> and <!-- a: end -->"):
        replace_part(text, "a", [])


def test_results_survive_a_file(results, tmp_path):
    results.save(tmp_path / "new" / "results.json")
    assert RunResults.load(tmp_path / "new" / "results.json") == results


@pytest.fixture
def checkout(tmp_path):
    """A folder with the places that the report writes to."""
    (tmp_path / "benchmarks" / "records").mkdir(parents=True)
    return tmp_path


def test_a_run_is_shown(results, tmp_path, capsys):
    results.save(tmp_path / "results.json")
    report.main([str(tmp_path / "results.json")])
    text = capsys.readouterr().out
    assert text.startswith("### bias_act\n")
    assert "- allocator: glibc, tuned" in text
    assert "| lrelu 16×128×64×64 | forward | 10.000 | 12.000 | 1.20 |" in text
    assert "torch.compile, double backward: torch.compile failed: no C++ compiler" in text
    assert "| lrelu 16×128×64×64 | 100.0 | 67.0 | 67% |" in text


def test_a_run_is_kept_with_a_small_picture(results, checkout):
    results.save(checkout / "results.json")
    report.main([str(checkout / "results.json"), "--record", "cpu-new"], root=checkout)
    kept = load_records(checkout / "benchmarks" / "records")["cpu-new"]
    assert kept == record_of(results)
    assert kept.blocks[0].picture_title == "bias_act: time in multiples of the copy floor"
    assert (checkout / "docs" / "images" / "bias_act.png").stat().st_size < 80_000


def test_a_picture_of_another_record_stays(results, checkout):
    results.save(checkout / "results.json")
    report.main([str(checkout / "results.json"), "--record", "cpu-new"], root=checkout)
    picture = checkout / "docs" / "images" / "bias_act.png"
    picture.write_bytes(b"as it was")
    report.main([str(checkout / "results.json"), "--record", "cpu-newer"], root=checkout)
    assert picture.read_bytes() == b"as it was"
    newer = load_records(checkout / "benchmarks" / "records")["cpu-newer"]
    assert not any(block.picture for block in newer.blocks)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give the results.json of a run, or --write"),
        (["--record", "cpu-new", "--write"], "--record needs the results.json of a run"),
        (["results.json", "--record", "mine"], "--record must begin with cpu- or gpu-, got 'mine'"),
        (["results.json"], "there is no results.json; run 'make bench' first"),
    ],
)
def test_the_report_says_what_it_needs(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        report.main(arguments)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


def test_the_pages_are_what_the_command_writes():
    """So no figure in them was typed by hand: python -m benchmarks.report --write."""
    for path, text in pages.written(load_records(), report.ROOT).items():
        assert path.read_text("utf-8") == text, f"{path} is not what the records say"


def test_the_short_page_is_short():
    page = (report.ROOT / pages.SHORT).read_text("utf-8").splitlines()
    assert len(page) <= 80
    assert sum(line.startswith("![") for line in page) == 1
    for rows in (pages.CPU, pages.GPU):
        assert len(rows) == 12


def test_a_missing_record_is_named(checkout, capsys):
    (checkout / "README.md").write_text("<!-- gain: begin -->\n<!-- gain: end -->\n")
    with pytest.raises(SystemExit):
        report.main(["--write"], root=checkout)
    assert "there is no record 'cpu-stylegan2'" in capsys.readouterr().err


def test_a_missing_row_is_named():
    block = Block("bias_act", "times", "", ["case", "measure"], [["lrelu 16×128", "forward"]])
    assert block.row("lrelu", "forward") == ["lrelu 16×128", "forward"]
    with pytest.raises(LookupError, match="bias_act has no row 'relu', 'forward'"):
        block.row("relu", "forward")


def test_a_disturbed_row_shows_no_gain():
    columns = ["case", "measure", "fastgan cpu, ms", "eager, ms", "spread"]
    calm = ["a", "forward", "2.0", "5.0", "12%"]
    disturbed = ["b", "forward", "2.0", "5.0", "607%"]
    block = Block("op", "times", "", columns, [calm, disturbed])
    sides = ("fastgan cpu, ms", "eager, ms")
    assert pages.gain(block, calm, *sides) == 2.5
    assert pages.gain(block, disturbed, *sides) is None


def test_a_target_holds_or_does_not():
    columns = ["case", "measure", "floor, ms", "fastgan cpu, ms", "eager, ms", "spread"]
    rows = [
        ["a", "forward", "1.0", "2.0", "8.0", "9%"],
        ["a", "backward", "1.0", "4.0", "4.0", "9%"],
    ]
    block = Block("op", "times", "", columns, rows)
    held = Target("op", "a", ("forward",), EAGER, 4)
    assert held.row(block) == ["op a, forward", "4 times eager's speed", "4.00×", "yes"]
    missed = Target("op", "a", ("forward", "backward"), FLOOR, 2.5)
    assert missed.row(block)[1:] == ["at most 2.5 floors", "3.00", "**no**"]


def test_the_chart_is_the_same_every_time_and_well_formed():
    rows = [("a <b>", [2.0, None]), ("c", [30.0, 1.0])]
    picture = draw_gains("gains", ["eager", "compiled"], rows)
    assert picture == draw_gains("gains", ["eager", "compiled"], rows)
    texts = [element.text for element in ElementTree.fromstring(picture).iter() if element.text]
    assert {"gains", "a <b>", "2.0×", "30.0×", "1.0×"} <= set(texts)


def convolution(case, shape, errors=None, **seconds):
    """Return a comparison of 10⁹ operations, whose floor is 5 ms."""
    timings = {name: Timing(t, t * 0.95, t * 1.05, 9) for name, t in seconds.items()}
    return Comparison(
        "conv2d", case, "forward", shape, "float32", 10**6, 0.005, timings, {}, 1e9, errors or {}
    )


@pytest.fixture
def convolutions():
    """Return one comparison, a sweep over sizes, and the sizes around a crossover."""
    found = RunResults(
        {"device": "CPU", "threads": "2", "allocator": "glibc", "commit": "c0"}, ["cpu"]
    )
    found.name_sides(["cpu", "F.conv2d"])
    errors = {"cpu": 1.7e-5, "F.conv2d": 2e-6}
    seconds = {"product": 0.01, "cpu": 0.004, "F.conv2d": 0.010}
    found.comparisons += [convolution("3x3", [8, 256, 32, 32], errors, **seconds)]
    found.scaling += [
        convolution(panel, shape, product=0.01, winograd=0.004, **{"F.conv2d": 0.004 * gain})
        for panel, shape, gain in (
            ("channels", [8, 16, 32, 32], 0.5),
            ("channels", [8, 32, 32, 32], 2.0),
            ("batch", [1, 256, 16, 16], 1.5),
            ("pixels", [16, 128, 4, 4], 1.0),
        )
    ]
    gains = {16: (0.5, 0.75, 0.9), 32: (0.5, 1.5, 2.0), 64: (1.5, 0.9, 2.0)}
    found.crossover += [
        convolution(
            "-", [1, channels, side, side], product=0.01, winograd=0.01, **{"F.conv2d": 0.01 * gain}
        )
        for channels, row in gains.items()
        for side, gain in zip((6, 12, 16), row)
    ]
    return found


def test_the_floor_of_a_convolution_is_said(convolutions, results):
    said = table.floors_said([*results.comparisons, *convolutions.comparisons])
    assert said.startswith(
        "copy_ moved 6.7 GB/s (16×128×64×64); a 1024³ matrix product ran at 215 GFLOP/s"
    )
    assert "copy_" not in table.floors_said(convolutions.comparisons)
    assert "matrix product" not in table.floors_said(results.comparisons)


def test_a_yardstick_gets_its_columns_and_its_ratio(convolutions):
    header, rows = table.timing_table(convolutions.comparisons, [*convolutions.sides, "compile"])
    assert header[3:] == [
        "fastgan cpu, ms",
        "× floor",
        "F.conv2d, ms",
        "× floor",
        "F.conv2d / cpu",
        "spread",
    ]
    assert rows[0][2:] == ["5.000", "4.000", "0.80", "10.000", "2.00", "2.50×", "10%"]


def test_errors_stand_in_a_table_where_algorithms_differ(convolutions, results):
    _, rows = table.error_table(convolutions.comparisons, convolutions.sides)
    assert rows == [["3x3 8×256×32×32", "forward", "1.7e-05", "2.0e-06"]]
    assert table.errors_matter(convolutions.comparisons)
    assert not table.errors_matter(results.comparisons)


def test_speed_over_sizes_is_summed_up_by_panel(convolutions):
    assert table.scaling_lines(convolutions.scaling)[0] == (
        "more channels: fastgan cpu, Winograd 250 to 250 GFLOP/s, "
        "0.50 to 2.00 times as fast as F.conv2d"
    )


def test_the_crossover_is_where_winograd_stays_faster(convolutions, monkeypatch):
    monkeypatch.setattr(table, "FEWEST_TILES", {32: 8, 64: 16})
    header, rows = table.crossover_table(convolutions.crossover)
    assert header == ["channels", "4 tiles", "9 tiles", "16 tiles", "faster from", "used from"]
    assert rows == [
        ["16", "0.50", "0.75", "0.90", "never", "never"],
        ["32", "0.50", "1.50", "2.00", "9", "8"],
        ["64", "1.50", "0.90", "2.00", "16", "16"],  # once slower again is not yet faster
    ]


def test_tiles_at_the_edge_count_whole():
    assert table.tiles_of([2, 64, 5, 8]) == 2 * 2 * 2


def test_the_report_holds_all_of_a_convolution(convolutions, tmp_path, capsys):
    source = tmp_path / "results.json"
    convolutions.save(source)
    assert RunResults.load(source) == convolutions
    report.main([str(source)])
    text = capsys.readouterr().out
    for words in (
        "![conv2d: time in multiples of the product floor](../images/conv2d.png)",
        "![conv2d: speed over size](../images/conv2d-scaling.png)",
        "| 3x3 8×256×32×32 | forward | 1.7e-05 | 2.0e-06 |",
        "| 64 | 1.50 | 0.90 | 2.00 | 16 |",
        "- more pixels",
    ):
        assert words in text
    drawn = draw_charts(convolutions, tmp_path)
    assert [path.name for path in drawn] == ["conv2d.png", "conv2d-scaling.png"]
    assert max(path.stat().st_size for path in drawn) < 80_000
    assert "1.7e-05" in (terminal := "\n".join(table.report_lines(convolutions)))
    assert "more channels" in terminal and "faster from" in terminal


def test_a_run_from_before_the_convolutions_still_loads(results, tmp_path):
    path = tmp_path / "results.json"
    results.save(path)
    data = json.loads(path.read_text())
    del data["crossover"]
    for comparison in data["comparisons"]:
        del comparison["flops"], comparison["errors"]
    for memory in data["memory"]:
        del memory["activation"], memory["results"], memory["scratch"]
    path.write_text(json.dumps(data))
    assert RunResults.load(path) == results
