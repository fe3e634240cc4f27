"""An HTML page without external resources, which runs only its own script."""

import base64
import hashlib
from importlib import resources
from typing import Any

from .charts import number, percent

_ASSETS = resources.files(__package__) / "assets"


def render(facts: dict[str, Any], template: str = "report") -> str:
    """Fill the template ``assets/TEMPLATE.html`` and put style and script into the page.

    Everything in `facts` stays text: the template escapes it, and the JSON is escaped for a script element. The page's
    content security policy names the digests of its style and its script; the browser uses no others and loads nothing.
    """
    from jinja2 import Environment, StrictUndefined

    style, script, page = _asset("report.css"), _asset("report.js"), _asset(f"{template}.html")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": number, "percent": percent}
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    policy = (
        f"default-src 'none'; img-src data:; style-src {_digest(style)}; script-src {_digest(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return environment.from_string(page).render(facts | {"style": style, "script": script, "policy": policy})


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
