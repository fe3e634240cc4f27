"""A figure of a detector's networks: which feeds which, found by running its losses once on a small table."""

import contextlib
import io
import warnings
from collections.abc import Iterator
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

import anogan

matplotlib.use("agg")
COLUMNS = 8
_BOX, _GAP = (2.3, 0.9), (1.1, 0.5)
_FILLS = ("#dcecf7", "#fde6d6", "#e3f1e0", "#efe3f5")


def flow(name: str) -> tuple[dict[str, str], set[tuple[str, str]], dict[str, str]]:
    """Return the networks of a detector with their sizes, the edges between them, and the phase that trains each."""
    X = np.random.default_rng(0).normal(size=(80, COLUMNS))
    kind = anogan.detector_class(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detector = kind(**kind.tiny, random_state=0, device="cpu")
        arguments = {"X_unlabeled": X + 1} if kind.uses_unlabeled else {}
        given = anogan.Conditioned(X, np.arange(80) % 2) if name == "conditional_gan" else X
        detector.fit(given, **arguments)
    module = detector.module_
    networks = {
        n: m for n, m in module.named_children() if isinstance(m, nn.Module) and any(True for _ in m.parameters())
    }
    names_of = {id(m): n for n, m in networks.items()}
    sizes: dict[str, str] = {}
    edges: set[tuple[str, str]] = set()
    made: dict[Any, str] = {}

    def before(network: nn.Module, inputs: tuple[Any, ...]) -> None:
        for tensor in _tensors(inputs):
            edges.update((source, names_of[id(network)]) for source in _sources(tensor, made))

    def after(network: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        own = names_of[id(network)]
        arrays, outputs = list(_tensors(inputs)), list(_tensors(output))
        if arrays and outputs:
            sizes.setdefault(own, f"{arrays[0].shape[-1]} \N{RIGHTWARDS ARROW} {outputs[-1].shape[-1]}")
        for tensor in outputs:
            if tensor.grad_fn is not None:
                made[tensor.grad_fn] = own

    hooks = [
        h for m in networks.values() for h in (m.register_forward_pre_hook(before), m.register_forward_hook(after))
    ]
    trained: dict[str, str] = {}
    module.train().requires_grad_()
    for stage in module.stages():
        for phase in stage.phases:
            for network in phase.networks:
                trained.setdefault(names_of.get(id(network), ""), phase.name)
            x = torch.randn(detector.n_members_, 16, *detector.preprocessor_.spec_.shape)
            if module.conditioned:
                x[:, :, -1] = 0  # a class
            x.requires_grad_()
            made[x] = "x"
            with _gradients_everywhere(), contextlib.suppress(RuntimeError, ValueError, IndexError):
                phase.loss(x)  # the losses of some detectors take another form of rows
    for hook in hooks:
        hook.remove()
    return {n: sizes.get(n, "") for n in networks}, edges, trained


@contextlib.contextmanager
def _gradients_everywhere() -> Iterator[None]:
    """Keep what each tensor was computed from, also where a loss stops gradients."""
    originals = torch.no_grad, torch.Tensor.detach
    torch.no_grad, torch.Tensor.detach = contextlib.nullcontext, lambda tensor: tensor.view_as(tensor)
    try:
        yield
    finally:
        torch.no_grad, torch.Tensor.detach = originals


def _tensors(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _tensors(part)


def _sources(tensor: torch.Tensor, made: dict[Any, str]) -> set[str]:
    """Return the networks, or x or noise, that a tensor was computed from."""
    if tensor in made:
        return {made[tensor]}
    if tensor.grad_fn is None:
        return set() if tensor.requires_grad else {"noise"}
    found, seen, queue = set(), set(), [tensor.grad_fn]
    while queue:
        node = queue.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node in made:
            found.add(made[node])
            continue
        leaf = getattr(node, "variable", None)
        if leaf is not None and leaf in made:
            found.add(made[leaf])
        queue += [following for following, _ in node.next_functions]
    return found or {"noise"}


def draw(name: str) -> tuple[str, str]:
    """Return the figure of a detector's networks as SVG, and the same in words."""
    sizes, edges, trained = flow(name)
    edges = {(a, b) for a, b in edges if a != b}
    boxes = [n for n in ("x", "noise") if any(a == n for a, _ in edges)] + list(sizes)
    level = dict.fromkeys(boxes, 0)
    for _ in boxes:  # longest paths; a circle ends after so many rounds
        for a, b in sorted(edges):
            if level[a] + 1 > level[b] and level[a] + 1 < len(boxes):
                level[b] = level[a] + 1
    columns: dict[int, list[str]] = {}
    for box in boxes:
        columns.setdefault(level[box], []).append(box)
    places = {}
    for across, column in enumerate(sorted(columns)):
        for down, box in enumerate(columns[column]):
            y = (down - (len(columns[column]) - 1) / 2) * (_BOX[1] + _GAP[1])
            places[box] = (across * (_BOX[0] + _GAP[0]), -y)
    width = max(x for x, _ in places.values()) + _BOX[0]
    height = max(y for _, y in places.values()) - min(y for _, y in places.values()) + _BOX[1]
    figure = Figure(figsize=((width + 0.4) * 0.62, (height + 0.9) * 0.62))
    ax = figure.add_axes((0, 0, 1, 1))
    phases = list(dict.fromkeys(trained.values()))
    for box, (x, y) in places.items():
        given = box in ("x", "noise")
        fill = "white" if given or box not in trained else _FILLS[phases.index(trained[box]) % len(_FILLS)]
        style = "round,pad=0.05" if not given else "round,pad=0.05,rounding_size=0.4"
        ax.add_patch(matplotlib.patches.FancyBboxPatch((x, y - _BOX[1] / 2), *_BOX, boxstyle=style, fc=fill, ec="#444"))
        text = box.replace("_", " ")
        lines = (
            [text]
            if given
            else [
                text,
                f"{sizes[box]}".strip(),
                f"phase: {trained[box].replace('_', ' ')}" if box in trained else "not trained",
            ]
        )
        ax.text(x + _BOX[0] / 2, y, "\n".join(line for line in lines if line), ha="center", va="center", fontsize=9)
    for a, b in sorted(edges):
        (x0, y0), (x1, y1) = places[a], places[b]
        forward = x1 > x0
        start, end = (x0 + _BOX[0] + 0.05, y0), (x1 - 0.05, y1)
        bend = "arc3,rad=0" if forward and level[b] - level[a] == 1 else "arc3,rad=-0.35"
        if not forward:
            start, end, bend = (
                (x0 + _BOX[0] / 2, y0 - _BOX[1] / 2),
                (x1 + _BOX[0] / 2, y1 - _BOX[1] / 2),
                "arc3,rad=-0.3",
            )
        ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": "#444", "connectionstyle": bend})
    ax.set(
        xlim=(-0.2, width + 0.2),
        ylim=(min(y for _, y in places.values()) - 0.85, max(y for _, y in places.values()) + 0.75),
    )
    ax.axis("off")
    words = "; ".join(f"{a} feeds {b}".replace("_", " ") for a, b in sorted(edges))
    return _svg(figure), f"Networks of {name}: {words}."


DECISIONS = (
    ("Pictures of parts or surfaces", "FeatureGAN"),
    ("Small drawn pictures, such as digits", "FAnoGAN"),
    ("An unlabelled set that has some anomalies", "CycleGAN"),
    ("A table in which normal depends on a column", "ConditionalGAN"),
    ("A table from which synthetic rows are wanted", "WGANGP"),
    ("Any other table, arrays, embeddings", "DenoisingGAN\n(beside kNN and an isolation forest)"),
)


def decision() -> str:
    """Return the figure of which detector suits which data."""
    figure = Figure(figsize=(7.6, 4.6))
    ax = figure.add_axes((0, 0, 1, 1))
    for row, (data, choice) in enumerate(DECISIONS):
        y = -row
        for x, width, text, fill in ((0, 3.6, data, "white"), (4.6, 2.9, choice, _FILLS[0])):
            ax.add_patch(
                matplotlib.patches.FancyBboxPatch(
                    (x, y - 0.32), width, 0.64, boxstyle="round,pad=0.05", fc=fill, ec="#444"
                )
            )
            ax.text(x + width / 2, y, text, ha="center", va="center", fontsize=9)
        ax.annotate("", (4.5, y), (3.7, y), arrowprops={"arrowstyle": "-|>", "color": "#444"})
        ax.text(4.1, y + 0.12, "yes", ha="center", fontsize=8)
        if row:
            ax.annotate("", (1.8, y + 0.4), (1.8, y + 0.6), arrowprops={"arrowstyle": "-|>", "color": "#444"})
            ax.text(1.95, y + 0.43, "no", fontsize=8)
    ax.set(xlim=(-0.2, 7.7), ylim=(-len(DECISIONS) + 0.5, 0.6))
    ax.axis("off")
    return _svg(figure)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "anogan"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
