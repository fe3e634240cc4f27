"""What the service's OpenAPI document says of requests and answers."""

from typing import Any

from pydantic import BaseModel, Field

from .bodies import PICTURES, TABLES
from .served import Served


class Reason(BaseModel):
    """A column that raised a row's score."""

    column: str
    share: float
    text: str


class Row(BaseModel):
    """What is said of a row or a picture."""

    score: float | None = Field(description="Higher is more anomalous; null if it cannot be scored.")
    p_value: float | None = Field(description="Probability that a normal row scores at least this.")
    flag: bool | None = Field(description="Whether the score is above the threshold.")
    status: str = Field("ok", description='"ok", or why it cannot be scored.')
    unseen: list[str] = Field([], description="Columns with values that did not occur in training.")
    reasons: list[Reason] = Field([], description="Of flagged rows, if asked for.")
    file: str | None = Field(None, description="The name of a picture.")
    map: str | None = Field(None, description="The picture with its map, as a data: URL of a PNG, if asked for.")


class Answer(BaseModel):
    """The answer to POST /score: one row for each row or picture, in their order."""

    model: str
    sha256: str = Field(description="Of the model file that scored.")
    threshold: float
    rows: list[Row]
    notes: list[str] = Field(description="What is unusual in the data as a whole.")


class Problem(BaseModel):
    """What is wrong with a request."""

    code: str = Field(description="The kind of error, for programs.")
    message: str = Field(description="What was got and what is needed.")
    column: str | None = Field(description="The column that the error is about.")


class Error(BaseModel):
    """Every answer that is not a success."""

    error: Problem


ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": Error, "description": words}
    for status, words in {
        400: "The body is not what its type says.",
        401: "The bearer token is missing or wrong.",
        404: "There is no such model.",
        408: "The body took too long to arrive.",
        413: "The body has too many bytes, rows or pixels.",
        415: "The content type is not one that is read.",
        422: "The data do not suit the model; the message names the column.",
        503: "Too many requests wait, or scoring took too long.",
    }.items()
}


def body_of_score(models: list[Served]) -> dict[str, Any]:
    """Return the description of the body of POST /score, with an example for each model of rows."""
    examples = {
        served.name: {"summary": f"A row for '{served.name}'", "value": {"rows": [served.example]}}
        for served in models
        if served.example is not None
    }
    row = {"oneOf": [{"type": "object"}, {"type": "array", "items": {"type": "number"}}]}
    schema = {"type": "object", "required": ["rows"], "properties": {"rows": {"type": "array", "items": row}}}
    text = {"schema": {"type": "string"}}
    binary = {"schema": {"type": "string", "format": "binary"}}
    content: dict[str, Any] = {"application/json": {"schema": schema, "examples": examples}}
    content |= {media: text if media.startswith("text/") else binary for media in TABLES}
    content |= dict.fromkeys(PICTURES, binary)
    files = {"type": "array", "items": {"type": "string", "format": "binary"}}
    content["multipart/form-data"] = {"schema": {"type": "object", "properties": {"files": files}}}
    return {"requestBody": {"required": True, "content": content}}
