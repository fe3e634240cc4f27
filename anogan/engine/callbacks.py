"""Hooks into training; the library itself shows nothing."""


class Callback:
    """Override what you need; every hook is empty."""

    def on_stage_begin(self, stage: str, total_steps: int) -> None:
        """A stage of at most ``total_steps`` steps begins (or resumes)."""

    def on_step_end(self, stage: str, step: int, terms: dict[str, float] | None) -> None:
        """Step ``step`` (counted from 1) is done; ``terms`` holds its losses if it was a logged step."""

    def on_look(self, stage: str, step: int, values: dict[str, float]) -> None:
        """Rows were looked at without learning from them; ``stage`` says of what stage, and whether held out."""

    def on_stage_end(self, stage: str, steps: int) -> None:
        """The stage ended after ``steps`` steps, by its budget or by early stopping."""
