"""A start-up file of IPython: shell cells of guides print plain text in one piece, and end the build if they fail."""

import os
import subprocess

from IPython.core.magic import register_cell_magic

for name in ("FORCE_COLOR", "CLICOLOR_FORCE"):  # the kernel asks for colours
    os.environ.pop(name, None)
os.environ["COLUMNS"] = "100"


@register_cell_magic
def bash(line: str, cell: str) -> None:
    """Run a cell in bash."""
    done = subprocess.run(
        ["bash", "-c", cell], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    print(done.stdout, end="")
    if done.returncode:
        raise RuntimeError(f"The cell ended with exit code {done.returncode}.")
