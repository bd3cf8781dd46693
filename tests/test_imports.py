"""Who may import whom: an arrow that points up or sideways fails here.

0  errors, disk, plain, spec, options, recipe,   the standard library
   header, report
1  nn, data, metrics, run, pictures           level 0; never each other
2  models                                     0 and 1; a family never another family
3  training, audits, scores                   0 to 2, training of models only models.base; not each other
4  tasks                                      0 to 3
5  cli, estimators                            all
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src" / "lookalike"
LEVEL = {
    **dict.fromkeys(("errors", "disk", "plain", "spec", "options", "recipe", "header", "report"), 0),
    **dict.fromkeys(("nn", "data", "metrics", "run", "pictures"), 1),
    "models": 2,
    "training": 3,
    "audits": 3,
    "scores": 3,
    "tasks": 4,
    "page": 4,
    "cli": 5,
    "estimators": 5,
    "__main__": 6,
    "__init__": 6,
}
FAMILIES = (
    "autoencoder",
    "tractable.autoregressive",
    "tractable.flow",
    "tractable.linear",
    "approximate.vae",
    "implicit.aae",
    "implicit.gan",
)
LARGEST = 400  # lines of a file


def files() -> list[Path]:
    return sorted(SRC.rglob("*.py"))


def module(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def imports(path: Path) -> Iterator[tuple[str, ast.stmt, bool]]:
    """What a file imports of ours, absolute below `lookalike`; and whether only when a function is called."""
    tree = ast.parse(path.read_text())
    inside = {node for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for node in ast.walk(f)}
    package = path.relative_to(SRC).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            stem = ".".join([*base, *([node.module] if node.module else [])])
            if (node.module and base) or node.module:
                yield stem, node, node in inside
            else:
                for alias in node.names:
                    yield ".".join([*base, alias.name]), node, node in inside
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lookalike."):
            yield (node.module or "").removeprefix("lookalike."), node, node in inside


def top(name: str) -> str:
    return name.partition(".")[0]


@pytest.mark.parametrize("path", files(), ids=module)
def test_arrows_point_down(path: Path) -> None:
    here = module(path)
    if top(here) in ("__main__", "__init__"):
        return
    for name, node, _ in imports(path):
        where = f"{here}, line {node.lineno}, imports {name}"
        if top(name) == top(here) or name == "__init__":
            continue
        assert top(name) in LEVEL, f"{where}: give it a level"
        sideways = LEVEL[top(name)] == LEVEL[top(here)] and LEVEL[top(here)] in (0, 4)  # no circles: checked below
        assert LEVEL[top(name)] < LEVEL[top(here)] or sideways, f"{where}: that points up or sideways"
        if top(here) == "training" and top(name) == "models":
            assert name == "models.base", f"{where}: training knows models.base only"


@pytest.mark.parametrize("path", files(), ids=module)
def test_no_family_imports_another(path: Path) -> None:
    here = module(path).removeprefix("models.")
    own = next((family for family in FAMILIES if here.startswith(family)), None)
    for name, node, _ in imports(path):
        other = next((f for f in FAMILIES if name.removeprefix("models.").startswith(f)), None)
        if own and name.startswith("models.") and other:
            assert other == own, f"{module(path)}, line {node.lineno}: a family imports another family"


def test_there_are_no_circles() -> None:
    arrows = {module(path): {name for name, _, lazily in imports(path) if not lazily} for path in files()}
    names = set(arrows)

    def home(name: str) -> str:
        return name if name in names else name.rpartition(".")[0]

    graph = {a: {home(b) for b in bs if home(b) in names and home(b) != a} for a, bs in arrows.items()}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"a circle of imports: {' -> '.join([*path, name])}"
        if name not in done:
            for below in sorted(graph.get(name, ())):
                visit(below, (*path, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


@pytest.mark.parametrize("path", files(), ids=module)
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LARGEST


@pytest.mark.parametrize("path", [p for p in files() if p.read_text().strip()], ids=module)
def test_a_file_opens_with_its_idea(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), f"{module(path)} has no docstring"


@pytest.mark.parametrize("path", [p for p in files() if top(module(p)) in ("models", "nn")], ids=module)
def test_models_are_quiet(path: Path) -> None:
    """No printing, no reading of numbers off the device, no optimiser and no file in a model."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            loud = called in ("print", "item", "backward", "open")
            assert not loud, f"{module(path)}, line {node.lineno}: {called}()"


def test_the_front_door_is_light() -> None:
    """Heavy packages wait until a command needs them."""
    heavy = ("torch", "pandas", "sklearn", "matplotlib", "PIL")
    program = f"import sys, lookalike, lookalike.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
