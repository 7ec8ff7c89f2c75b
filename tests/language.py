"""Lint of the project's language: first words, sentence length, width and a few words to avoid.

python -m tests.language [PATH...]

Prints each finding as `file:line: text`. Without a path it reads everything that is checked.
"""

from __future__ import annotations

import ast
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
FOLDERS = ("fastgan", "csrc", "benchmarks", "tests", "tools")
CODE = {".cpp", ".h", ".cu", ".cuh", ".inc"}
WIDTH = 100
MAX_WORDS = 25
RIDDLES = {
    "What",
    "Whether",
    "How",
    "Where",
    "Of",
    "Whatever",
    "Who",
    "Whose",
    "Which",
    "That",
    "Why",
}
"""First words of a docstring that neither name an object nor say what it does."""
CAME = "ca" + "me"
BREAK = re.compile(r"(?<=[.!?:])[\"')\]]*\s+|\n\s*\n|\n\s*(?:[-*>|]|\d+\.|>>>|\.\.\.)\s")
FIELD = re.compile(r"^\s*\*{0,2}`{0,2}[\w., *]+`{0,2}(?: \([^)]*\))?: ", re.MULTILINE)
LITERAL = re.compile(r"```.*?```|::\n(?:\n|[ \t]+.*\n?)+", re.DOTALL)


class Finding(NamedTuple):
    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.text}"


def findings(paths: Iterable[Path]) -> list[Finding]:
    """Return all findings in these files and folders, in order."""
    return [finding for path in paths for file in _files(path) for finding in _check(file)]


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for file in sorted(path.rglob("*")):
        if file.suffix in CODE | {".py"} and "__pycache__" not in file.parts:
            yield file


def _check(file: Path) -> Iterator[Finding]:
    content = file.read_text(encoding="utf-8")
    for number, line in enumerate(content.splitlines(), 1):
        if len(line) > WIDTH and "http" not in line:
            yield Finding(file, number, f"line has {len(line)} columns, at most {WIDTH}")
    texts = _python(file, content) if file.suffix == ".py" else _native(content)
    for kind, number, text in texts:
        if re.search(rf"\b{CAME}\b", text):
            yield Finding(file, number, f'"{CAME}" in a text: write "got"')
        if kind != "docstring":
            continue
        first = re.match(r"\W*(\w+)", text)
        if first and first[1] in RIDDLES:
            yield Finding(
                file, number, f"docstring starts with {first[1]!r}: say what it is or does"
            )
        for sentence in sentences(text):
            if (count := len(sentence.split())) > MAX_WORDS:
                start = " ".join(sentence.split()[:6])
                yield Finding(
                    file, number, f"sentence of {count} words, at most {MAX_WORDS}: {start} …"
                )


def sentences(text: str) -> list[str]:
    """Split a docstring into sentences; names of arguments, lists and code end one too."""
    plain = FIELD.sub("\n\n", LITERAL.sub("\n\n", text))
    return [part for part in BREAK.split(plain) if part.strip()]


def _python(file: Path, content: str) -> Iterator[tuple[str, int, str]]:
    """Yield docstrings, other strings and comments with their lines."""
    tree = ast.parse(content)
    documented = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        of_class = isinstance(node, (ast.ClassDef, ast.Module))
        for place, part in enumerate(body):
            if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)):
                continue
            if isinstance(part.value.value, str) and (place == 0 or of_class):
                documented.add(id(part.value))
                yield "docstring", part.value.lineno, part.value.value
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            continue
        if id(node) not in documented:
            yield "string", node.lineno, node.value
    with open(file, "rb") as stream:
        for token in tokenize.tokenize(stream.readline):
            if token.type == tokenize.COMMENT:
                yield "comment", token.start[0], token.string


def _native(content: str) -> Iterator[tuple[str, int, str]]:
    """Yield comments and strings of C++ with their lines; a block of // lines is a docstring."""
    block: list[str] = []
    start = 0
    for number, line in enumerate([*content.splitlines(), ""], 1):
        comment = re.match(r"\s*//+ ?(.*)", line)
        if comment:
            start = start if block else number
            block.append(comment[1])
            continue
        if block:
            yield "docstring", start, "\n".join(block)
            block = []
        if CAME in line:
            yield "string", number, line


def main() -> None:
    paths = [Path(name).resolve() for name in sys.argv[1:]] or [ROOT / name for name in FOLDERS]
    found = findings(paths)
    print(*found, sep="\n")
    print(f"{len(found)} findings", file=sys.stderr)
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
