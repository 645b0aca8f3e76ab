"""House style as a test: sizes, widths, dead files, banned calls.

Run it alone (``python tools/tidy.py``) for the list of what is untidy; the test suite runs it too.
There is no exemption list: what does not fit is split.
"""

from __future__ import annotations

import ast
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).parent.parent
MAX_FUNCTION_LINES = 70
MAX_FILE_LINES = 600
MAX_COLUMNS = 100
CODE_FOLDERS = ("src", "tests", "bench", "tools")
CODE_SUFFIXES = {".py", ".pyx", ".pyi"}
BANNED_CALLS = {
    "eval": "evaluates text as code",
    "exec": "evaluates text as code",
    "pickle.loads": "runs code from data",
    "pickle.load": "runs code from data",
    "time.sleep": "a sleep hopes; wait for the event itself",
}
# The message compiler turns our own declarations (never input) into functions.
MAY_EXEC = {"src/ottla/wire/compiler.py"}
# A child process or another program's state can only be polled.
MAY_SLEEP = ("tests/", "bench/")
OWNERLESS_TODO = re.compile(r"\b(TODO|FIXME|XXX)\b")


def code_files(root: pathlib.Path = ROOT) -> list[pathlib.Path]:
    """Every source file of ours, by folder and name."""
    return sorted(
        path
        for folder in CODE_FOLDERS
        for path in (root / folder).rglob("*")
        if path.suffix in CODE_SUFFIXES and path.is_file()
    )


def untidy(root: pathlib.Path = ROOT) -> list[str]:
    """All problems found, each ``path:line: what``."""
    files = code_files(root)
    problems: list[str] = []
    for path in files:
        name = path.relative_to(root).as_posix()
        lines = path.read_text().splitlines()
        problems += _check_lines(name, lines)
        if path.suffix == ".py":
            tree = ast.parse("\n".join(lines), name)
            problems += _check_functions(name, tree)
            problems += _check_calls(name, tree)
    return problems + _dead_modules(root, files)


def _check_lines(name: str, lines: list[str]) -> list[str]:
    problems = []
    if len(lines) > MAX_FILE_LINES:
        problems.append(f"{name}:1: {len(lines)} lines, at most {MAX_FILE_LINES}")
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_COLUMNS:
            problems.append(f"{name}:{number}: {len(line)} columns, at most {MAX_COLUMNS}")
        if OWNERLESS_TODO.search(line) and name != "tools/tidy.py":
            problems.append(f"{name}:{number}: a TODO belongs in an issue")
    return problems


def _check_functions(name: str, tree: ast.Module) -> list[str]:
    problems = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                problems.append(
                    f"{name}:{node.lineno}: {node.name} has {length} lines, "
                    f"at most {MAX_FUNCTION_LINES}"
                )
    return problems


def _check_calls(name: str, tree: ast.Module) -> list[str]:
    problems = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        reason = BANNED_CALLS.get(called)
        if reason is None or (called == "exec" and name in MAY_EXEC):
            continue
        if called == "time.sleep" and name.startswith(MAY_SLEEP):
            continue
        problems.append(f"{name}:{node.lineno}: {called} {reason}")
    return problems


def _dead_modules(root: pathlib.Path, files: list[pathlib.Path]) -> list[str]:
    """Modules under ``src`` whose name nothing else mentions."""
    texts = {path: path.read_text() for path in files}
    manifest = "".join((root / name).read_text() for name in ("pyproject.toml", "setup.py"))
    problems = []
    for path in files:
        relative = path.relative_to(root)
        if relative.parts[0] != "src" or path.stem == "__init__" or path.suffix == ".pyi":
            continue
        # API modules are found by their key number, not by name.
        if re.match(r"k\d\d_", path.stem):
            continue
        mention = re.compile(rf"\b{re.escape(path.stem)}\b")
        if mention.search(manifest):
            continue
        if not any(mention.search(text) for other, text in texts.items() if other != path):
            problems.append(f"{relative.as_posix()}:1: nothing mentions this module")
    return problems


if __name__ == "__main__":
    found = untidy()
    print("\n".join(found) or "tidy")
    sys.exit(bool(found))
