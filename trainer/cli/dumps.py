"""The commands that read dumps: index, explore, translate, prepare."""

from pathlib import Path
from typing import Annotated

import typer

from trainer.cli.progress import measuring

Dump = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="a BSON dump, e.g. train.bson")]
Categories = Annotated[Path, typer.Option(exists=True, dir_okay=False, help="category_names.csv")]
Tolerate = Annotated[bool, typer.Option("--tolerate", help="accept a damaged dump: exit 0 with what was sound")]


def index(
    dump: Dump,
    fresh: Annotated[bool, typer.Option("--fresh", help="index again, although the dump has not changed")] = False,
    tolerate: Tolerate = False,
) -> None:
    """Find where every product of a dump lies and what its pictures hash to; the other commands do it by themselves.

    The index is a folder beside the dump (in ~/.cache/shelver where that cannot be written), about 1/150 of its size.
    It is memory-mapped, and reused while the dump's size and time of change stay the same. Pictures are not decoded.
    """
    from trainer.index import build

    with measuring() as track:
        made = build(dump, track("indexing", dump.stat().st_size), fresh=fresh)
    typer.echo(f"{made.folder}: {len(made.products):,} products, {len(made.pictures):,} pictures")
    for reason, count in made.left_out.items():
        typer.echo(f"left out: {count:,} documents, {reason}")
    if made.damage and not tolerate:
        raise made.damage


COMMANDS = (index,)
