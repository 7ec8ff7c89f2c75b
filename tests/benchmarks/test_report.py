"""Tables, the parts of documents, and what is kept of a run."""

import pytest

from benchmarks import report, table
from benchmarks.document import MissingMarkers, markdown, plain, replace_part
from benchmarks.results import Comparison, Memory, RunResults
from benchmarks.timing import Timing


def comparison(measure="forward", **seconds):
    timings = {name: Timing(t, t * 0.95, t * 1.05, 9) for name, t in seconds.items()}
    unavailable = {} if "compile" in seconds else {"compile": "torch.compile failed: no C++ compiler"}
    return Comparison(
        "bias_act", "lrelu", measure, [16, 128, 64, 64], "float32", 33554432, 0.010, timings, unavailable
    )


@pytest.fixture
def results():
    memory = Memory("bias_act", "lrelu", [16, 128, 64, 64], "float32", 100_000_000, {"cpu": 67_000_000})
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
    assert rows == [["lrelu 16×128×64×64", "100.0", "67.0", "67%", "–", "–", "–", "–"]]


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


def test_the_report_needs_a_run(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        report.main([str(tmp_path / "results.json")])
    assert stopped.value.code == 2
    assert "run 'make bench' first" in capsys.readouterr().err
