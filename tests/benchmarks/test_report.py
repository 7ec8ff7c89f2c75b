"""Tables, parts of documents, and the records of a run."""

import json

import pytest

from benchmarks import report, table
from benchmarks.document import MissingMarkers, markdown, plain, replace_part
from benchmarks.results import Comparison, Memory, RunResults
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


def test_the_report_writes_figures_and_a_small_chart(results, tmp_path, capsys):
    source, document = tmp_path / "results.json", tmp_path / "performance.md"
    results.save(source)
    document.write_text("# Figures\n<!-- figures: begin -->\n<!-- figures: end -->\n")
    report.main([str(source), str(source), "--write", str(document)])
    text = document.read_text()
    assert text.count("### CPU, allocator glibc, tuned") == 2
    assert text.count("![bias_act: time in multiples of the copy floor](images/bias_act.png)") == 1
    assert (tmp_path / "images" / "bias_act.png").stat().st_size < 80_000


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


def test_the_report_holds_all_of_a_convolution(convolutions, tmp_path):
    source, document = tmp_path / "results.json", tmp_path / "performance.md"
    convolutions.save(source)
    assert RunResults.load(source) == convolutions
    document.write_text("<!-- figures: begin -->\n<!-- figures: end -->\n")
    report.main([str(source), "--write", str(document)])
    text = document.read_text()
    for words in (
        "![conv2d: time in multiples of the product floor](images/conv2d.png)",
        "![conv2d: speed over size](images/conv2d-scaling.png)",
        "| 3x3 8×256×32×32 | forward | 1.7e-05 | 2.0e-06 |",
        "| 64 | 1.50 | 0.90 | 2.00 | 16 |",
        "- more pixels",
    ):
        assert words in text
    assert (tmp_path / "images" / "conv2d-scaling.png").stat().st_size < 80_000
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


def test_the_report_needs_a_run(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        report.main([str(tmp_path / "results.json")])
    assert stopped.value.code == 2
    assert "run 'make bench' first" in capsys.readouterr().err
