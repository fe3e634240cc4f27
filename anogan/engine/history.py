"""The curves of a training."""

History = dict[str, dict[str, list[float]]]
"""stage -> term -> values; the list ``"step"`` holds the steps at which the terms of the stage were logged."""


def append(history: History, stage: str, step: int, terms: dict[str, float]) -> None:
    """Add one logged step. A term that is missing, since its phase did not run, repeats its last value."""
    curves = history.setdefault(stage, {"step": []})
    curves["step"].append(step)
    length = len(curves["step"])
    for name, value in terms.items():
        curve = curves.setdefault(name, [])
        curve.extend([value] * (length - len(curve)))
    for name, curve in curves.items():
        if len(curve) < length and name != "step":
            curve.append(curve[-1])
