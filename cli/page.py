"""From facts to one HTML page that needs nothing but itself, and runs no script but ours."""

import base64
import hashlib
from importlib import resources
from typing import Any

from .charts import number, percent

_ASSETS = resources.files(__package__) / "assets"


def render(facts: dict[str, Any]) -> str:
    """The page of ``assets/report.html`` with style and script inside.

    Whatever stands in `facts` stays text: the template escapes all of it, the JSON is escaped for its place, and by
    the page's own policy the browser runs only the script, and takes only the style, whose digests it names, and
    loads nothing from anywhere.
    """
    from jinja2 import Environment, StrictUndefined

    style, script, template = (_asset(f"report.{kind}") for kind in ("css", "js", "html"))
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": number, "percent": percent}
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    policy = (
        f"default-src 'none'; img-src data:; style-src {_digest(style)}; script-src {_digest(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return environment.from_string(template).render(facts | {"style": style, "script": script, "policy": policy})


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
