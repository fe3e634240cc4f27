"""`anogan export`: write a model as an ONNX file that other programs score with."""

import os

import click

import anogan

from . import options
from .output import reserve, to_json


@click.command(
    epilog=options.examples(
        "anogan export model.anogan -o model.onnx", "anogan export images.anogan -o images.onnx --no-maps"
    )
)
@click.argument("model")
@click.option("-o", "--output", required=True, metavar="FILE.onnx", help="The ONNX file to write.")
@click.option("--no-maps", is_flag=True, help="Leave out the maps of pictures, which makes the graph faster.")
@options.json_option
@options.quiet_option
def command(model: str, output: str, no_maps: bool, as_json: bool, quiet: bool) -> None:
    """Write MODEL as an ONNX file that holds everything from the input to score, p-value, flag and map.

    Any ONNX runtime runs it, in any language; anogan score takes it in place of a model file and then needs no torch.
    The graph takes rows of numbers or decoded pictures; what each number means is in the file's metadata,
    "anogan.schema". It gives no reasons.
    """
    reserve(output, [model])
    detector = anogan.load(model, device="cpu")
    detector.to_onnx(output, with_map=not no_maps)
    size = os.path.getsize(output)
    if as_json:
        click.echo(to_json({"output": output, "detector": detector.name, "bytes": size}))
    elif not quiet:
        click.echo(f"{detector.name} written to {output} ({size / 2**20:.1f} MB)")
