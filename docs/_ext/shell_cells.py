"""A cell that starts with ``%%bash`` runs in a shell, and is shown as shell commands without that line."""

from typing import Any

from docutils import nodes

MAGIC = "%%bash\n"


def show_as_shell(app: Any, doctree: nodes.document) -> None:
    for block in doctree.findall(nodes.literal_block):
        text = block.astext()
        if text.startswith(MAGIC):
            block["language"] = "bash"
            block.rawsource = text.removeprefix(MAGIC)
            block.children[:] = [nodes.Text(block.rawsource)]


def setup(app: Any) -> dict[str, Any]:
    app.connect("doctree-read", show_as_shell)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
