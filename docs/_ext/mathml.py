"""Equations as MathML, which browsers draw without a script or a font from elsewhere."""

import re
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

# Docstrings, which are also read in a terminal, write these as they look; LaTeX has commands for them.
SIGNS = {"\N{N-ARY SUMMATION}": r"\sum ", "\N{ELEMENT OF}": r"\in ", "x\N{COMBINING CIRCUMFLEX ACCENT}": r"\hat{x}"}
FUNCTIONS = re.compile(r"(?<![\\{a-z])(log|min|max|mean|or)(?![a-z])")


def as_latex(text: str) -> str:
    """Return an equation with commands of LaTeX for its signs and functions."""
    for sign, command in SIGNS.items():
        text = text.replace(sign, command)
    return FUNCTIONS.sub(
        lambda found: rf"\{found[1]} " if found[1] in ("log", "min", "max") else _upright(found[1]), text
    )


def _upright(word: str) -> str:
    return rf"\quad\text{{{word}}}\quad " if word == "or" else rf"\text{{{word}}}"


def visit_inline(self: Any, node: nodes.Element) -> None:
    self.body.append(_mathml(node, as_block=False))
    raise nodes.SkipNode


def visit_display(self: Any, node: nodes.Element) -> None:
    self.body.append(f'<div class="math">{_mathml(node, as_block=True)}</div>')
    raise nodes.SkipNode


def _mathml(node: nodes.Element, *, as_block: bool) -> str:
    return tex2mathml(as_latex(node.astext()), as_block=as_block)


def setup(app: Any) -> dict[str, Any]:
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
