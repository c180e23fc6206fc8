"""The direction of imports: each module imports only from the rows above its own in docs/architecture.md."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import wclayer

SOURCES: Final = Path(wclayer.__file__).parent
DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "architecture.md"
MODULES: Final = {
    ".".join(path.relative_to(SOURCES).with_suffix("").parts).removesuffix("__init__").rstrip("."): path
    for path in sorted(SOURCES.rglob("*.py"))
}

MOST_LINES: Final = 450
MOST_MODULES: Final = 20
FLAT: Final = ("cli", "win32", "regf")  # packages of many small modules side by side


def rows() -> list[tuple[str, ...]]:
    """The packages and modules of each row of the table, the lowest first: `stores/root` is `stores.root`."""
    text = DOCUMENT.read_text(encoding="utf-8").partition("## Import rule\n")[2].partition("\n## ")[0]
    lines = [line.split("|") for line in text.splitlines() if re.match(r"\| *\d+ *\|", line)]
    assert [int(line[1]) for line in lines] == list(range(1, len(lines) + 1))
    return [tuple(name.replace("/", ".") for name in re.findall(r"`([^`]+)`", line[2])) for line in lines]


ROW_OF: Final = {name: number for number, names in enumerate(rows(), 1) for name in names}


def home(module: str) -> str:
    """The longest name in the table that a module is, or lies in."""
    while module and module not in ROW_OF:
        module = module.rpartition(".")[0]
    return module or "wclayer"


def imports(module: str) -> Iterator[str]:
    """The modules of wclayer that a module imports, wherever in it."""
    path = MODULES[module]
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        above = [part for part in package if part][: len(package) - node.level + 1]
        source = ".".join([*above, *(node.module.split(".") if node.module else [])])
        for name in node.names:
            inner = f"{source}.{name.name}".lstrip(".")
            yield inner if inner in MODULES else source


def test_the_table_names_what_there_is() -> None:
    names = set(ROW_OF) - {"wclayer"}
    assert names <= set(MODULES)
    assert {home(module) for module in MODULES} == set(ROW_OF)


@pytest.mark.parametrize("module", sorted(MODULES), ids=lambda name: name or "wclayer")
def test_imports_run_downwards(module: str) -> None:
    own = home(module)
    if own == "wclayer":  # the public names, and `python -m wclayer`
        return
    wrong = [
        found
        for found in imports(module)
        if found and home(found) != own and not (home(found) in ROW_OF and ROW_OF[home(found)] < ROW_OF[own])
    ]
    assert wrong == []


def test_the_modules_that_the_page_names_exist() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    named = re.findall(r"`(?!tests/)([a-z0-9_/]+(?:\.py|/))`", text)
    assert len(named) > 30
    assert [name for name in named if not (SOURCES / name).exists()] == []


def test_packages_and_modules_are_small() -> None:
    packages: dict[Path, list[Path]] = {}
    for path in MODULES.values():
        packages.setdefault(path.parent, []).append(path)
        assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES, path
    for folder, found in packages.items():
        if folder.name not in FLAT:
            assert len(found) - 1 <= MOST_MODULES, folder


def test_every_package_says_what_it_is_for() -> None:
    for path in MODULES.values():
        if path.name == "__init__.py" and path.parent != SOURCES:
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
            assert text, path
            assert len(text.splitlines()) <= 25, path
