"""The generated files are in step with the detectors: the index that the command line reads, and the types.

Run as a script (`make generate`), this file rewrites them.
"""

import ast
from pathlib import Path

import pytest

import anogan
from anogan.detectors import registry

STUB = Path(anogan.__file__).with_suffix(".pyi")


def stub() -> str:
    """The stub with one import for each detector, whatever detectors it had before."""
    found = anogan.list_detectors().values()
    homes = {cls.__module__: [c.__name__ for c in found if c.__module__ == cls.__module__] for cls in found}
    imports = {(module.removeprefix("anogan"), name) for module, names in homes.items() for name in names}
    for node in ast.parse(STUB.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and f"anogan.{node.module}" not in homes:
            imports |= {(f".{node.module}", alias.name) for alias in node.names if is_there(node.module, alias.name)}
    lines = [f"from {module} import {name} as {name}" for module, name in sorted(imports)]
    return "\n".join([*lines, "", "__version__: str", ""])


def is_there(module: str | None, name: str) -> bool:
    """Return whether the module of an import in the stub exists; a detector may have been removed."""
    path = STUB.parent / f"{(module or '').replace('.', '/')}.py"
    return path.is_file() or path.with_suffix("").is_dir()


GENERATED = {registry.INDEX: registry.build_index, STUB: stub}


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.name)
def test_the_generated_files_are_in_step(path):
    assert path.read_text(encoding="utf-8") == GENERATED[path](), f"{path.name} is old: run `make generate`"


if __name__ == "__main__":
    for path, text in GENERATED.items():
        path.write_text(text(), encoding="utf-8")
