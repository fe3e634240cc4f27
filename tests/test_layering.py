"""Imports go strictly downwards; the command line and the benchmarks stand on the public names alone."""

import ast
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import anogan
from anogan.cli import main

ROOT = Path(__file__).parents[1]
LAYERS = (
    ("errors", "parameters", "seeding", "schema", "layout", "container", "wording"),
    ("files",),
    ("sources",),
    ("data",),
    ("nn",),
    ("losses",),
    ("engine",),
    ("scoring",),
    ("explain",),
    ("persistence", "export", "pyod"),
    ("detectors",),
    ("streams",),
    ("evaluation", "testing"),
    ("reporting",),
    ("batch", "demo"),
    ("spark", "ray", "serving", "mlflow"),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
OUTSIDE = ("cli", "benchmarks")


def imported(source: str, package: str) -> Iterator[tuple[str, str | None]]:
    """Yield ``(module, name)`` of each import in `source`, wherever it stands.

    `name` is None for ``import module``; relative imports start from `package`, which holds the file.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, None
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                parts = package.split(".")
                anchor = parts[: max(0, len(parts) - node.level + 1)] or [""]  # "": beyond the topmost package
                module = ".".join([*anchor, module] if module else anchor)
            for alias in node.names:
                yield module, alias.name


def library_faults(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """Return what is wrong with the imports of the library module `module`, such as ``anogan.nn.mlp``."""
    layer = module.split(".")[1]
    if layer not in RANK:
        return [f"{module}: '{layer}' has no place in the order of layers; give it one in {Path(__file__).name}"]
    faults = []
    for target, name in imported(source, module if is_package else module.rpartition(".")[0]):
        parts = target.split(".")
        if parts[0] in OUTSIDE:
            faults.append(f"{module} imports {target}: the library does not know its users")
        if parts[0] != "anogan":
            continue
        below = parts[1] if len(parts) > 1 else name
        if below not in RANK:
            faults.append(f"{module} imports {target}{f'.{name}' if name else ''}: not a layer of the library")
        elif RANK[below] > RANK[layer]:
            faults.append(f"{module} imports anogan.{below}: upwards, {layer} stands below {below}")
    return faults


def is_public(name: str) -> bool:
    """Return whether `anogan` exports `name`; its layers can be reached as attributes too, but are not public."""
    private = name.startswith("_") and name != "__version__"
    return not private and name not in RANK and name not in OUTSIDE and hasattr(anogan, name)


def outside_faults(
    source: str, module: str, exported: Callable[[str], bool] = is_public, *, is_package: bool = False
) -> list[str]:
    """Return what is wrong with the imports of `module`, a file of the command line or of the benchmarks."""
    home = module.split(".")[0]
    other = next(name for name in OUTSIDE if name != home)
    package = module if is_package else module.rpartition(".")[0]
    faults = []
    for target, name in imported(source, package):
        parts = target.split(".")
        if parts[0] == other or target.startswith(f"anogan.{other}"):
            faults.append(f"{module} imports {target}: {home} and {other} do not know each other")
        elif target == "anogan.cli" or target.startswith("anogan.cli."):
            faults.append(f"{module} imports {target}: use a relative import")
        elif parts[0] == "" or (parts[0] == "anogan" and len(parts) > 1):
            faults.append(f"{module} imports {target or 'beyond its own folder'}: only `anogan` itself is public")
        elif target == "anogan" and name is not None and not exported(name):
            faults.append(f"{module} imports anogan.{name}, which anogan does not export")
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
            continue
        if node.value.id == "anogan" and not exported(node.attr):
            faults.append(f"{module} uses anogan.{node.attr}, which anogan does not export")
    return faults


def modules(folder: str) -> list[tuple[str, Path]]:
    """Return the dotted name and the path of each Python file under `folder`."""
    paths = sorted((ROOT / folder).rglob("*.py"))
    return [(".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), p) for p in paths]


def import_graph(sources: dict[str, str], packages: frozenset[str] = frozenset()) -> dict[str, set[str]]:
    """Return which modules each module imports: at the top, inside functions, or for type checkers only.

    `sources` maps dotted names to source text.
    """
    graph: dict[str, set[str]] = {}
    for module, source in sources.items():
        package = module if module in packages else module.rpartition(".")[0]
        targets = (
            f"{target}.{name}" if f"{target}.{name}" in sources else target
            for target, name in imported(source, package)
        )
        graph[module] = {target for target in targets if target in sources and target != module}
    return graph


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Return the modules of a circle of imports in order, or an empty list."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


LIBRARY = [entry for entry in modules("anogan") if entry[0] != "anogan"]  # __init__ stands above all layers


@pytest.mark.parametrize(("module", "path"), LIBRARY, ids=[name for name, _ in LIBRARY])
def test_library_imports_go_downwards(module: str, path: Path) -> None:
    assert not library_faults(path.read_text(), module, is_package=path.name == "__init__.py")


def test_no_files_of_the_library_import_each_other_in_a_circle() -> None:
    packages = frozenset(name for name, path in LIBRARY if path.name == "__init__.py")
    assert not circle(import_graph({name: path.read_text() for name, path in LIBRARY}, packages))


@pytest.mark.parametrize(
    "line",
    ["from .a import f", "from . import a", "import x.a", "def late():\n    from .a import f"],
)
def test_a_circle_is_found(line: str) -> None:
    sources = {"x.a": "from .b import g", "x.b": line, "x.c": "from .a import f"}
    assert set(circle(import_graph(sources))) == {"x.a", "x.b"}


def test_an_import_for_types_alone_closes_a_circle() -> None:
    sources = {"x.a": "from .b import g", "x.b": "if TYPE_CHECKING:\n    from .a import f"}
    assert circle(import_graph(sources))


@pytest.mark.parametrize(
    ("module", "path"),
    [entry for folder in OUTSIDE for entry in modules(folder)],
    ids=lambda value: str(value),
)
def test_cli_and_benchmarks_use_public_names_only(module: str, path: Path) -> None:
    assert not outside_faults(path.read_text(), module, is_package=path.name == "__init__.py")


COMMANDS = {name.split(".")[1] for name, _ in modules("cli") if name.count(".")} - {
    "config", "main", "options", "output", "progress"
}  # fmt: skip


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_no_command_imports_another_command(command: str) -> None:
    source = (ROOT / "cli" / f"{command}.py").read_text()
    home = "cli"
    targets = [(target, name) for target, name in imported(source, home) if target.split(".")[0] == home]
    assert not {part for target, name in targets for part in (target.removeprefix("cli."), name)} & COMMANDS


def test_every_command_is_known_as_one() -> None:
    assert set(main.COMMANDS) == COMMANDS


def test_the_command_line_stays_small() -> None:
    """Charts, pages, evaluations and file readers belong to the library, where Python users have them too."""
    lines = sum(
        len(path.read_text().splitlines())
        for path in (ROOT / "cli").rglob("*")
        if path.suffix in (".py", ".html", ".css", ".js")
    )
    assert lines < 3000


def test_every_layer_in_the_order_exists() -> None:
    assert set(RANK) <= {name.split(".")[1] for name, _ in LIBRARY}


@pytest.mark.parametrize(
    "line",
    [
        "from anogan.errors import InputError",
        "from anogan import errors",
        "from ..data.spec import SampleSpec",
        "from .layers import Linear",
        "from . import layers",
        "import torch",
    ],
)
def test_a_downward_import_is_allowed(line: str) -> None:
    assert library_faults(line, "anogan.nn.mlp") == []


@pytest.mark.parametrize(
    "line",
    [
        "from anogan.engine.trainer import Trainer",
        "import anogan.scoring",
        "from anogan import detectors",
        "from ..engine import trainer",
        "from .. import engine",
        "def late():\n    from anogan.evaluation import metrics",
        "import anogan",
        "from anogan import load",
        "from anogan.cli import main",
        "import benchmarks.run",
    ],
)
def test_an_upward_import_is_found(line: str) -> None:
    assert len(library_faults(line, "anogan.nn.mlp")) == 1


def test_a_relative_import_in_a_package_file_starts_at_the_package() -> None:
    assert library_faults("from .mlp import MLP", "anogan.nn", is_package=True) == []
    assert library_faults("from ..engine import Phase", "anogan.nn", is_package=True)


def test_a_module_without_a_layer_is_found() -> None:
    assert library_faults("", "anogan.utils")


@pytest.mark.parametrize(
    "line", ["from .options import a", "from . import io", "import click", "from anogan import load"]
)
def test_the_cli_may_use_itself_and_public_names(line: str) -> None:
    assert outside_faults(line, "cli.fit", "load".__eq__) == []


@pytest.mark.parametrize(
    "line",
    [
        "from anogan.data import spec",
        "import anogan.data",
        "from anogan import hidden",
        "import anogan\nanogan.hidden",
        "from ..data import spec",
        "from .. import errors",
        "from anogan.cli import io",
        "import benchmarks",
    ],
)
def test_the_cli_may_not_reach_past_public_names(line: str) -> None:
    assert len(outside_faults(line, "cli.fit", "load".__eq__)) == 1


def test_benchmarks_may_not_use_the_cli() -> None:
    assert outside_faults("from anogan.cli import main", "benchmarks.run", "load".__eq__)
    assert outside_faults("from cli import main", "benchmarks.run", "load".__eq__)
