"""The commands that read dumps for training: index, prepare."""

from pathlib import Path
from typing import Annotated

import typer

from trainer.cli.progress import counting, measuring

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


def prepare(
    dump: Dump,
    categories: Categories,
    output: Annotated[Path, typer.Option("--output", "-o", file_okay=False, help="folder to make")],
    config: Annotated[
        str | None, typer.Option(help="take what follows from a config's `data`: a name (see configs) or a file")
    ] = None,
    level: Annotated[int | None, typer.Option(min=2, max=3, help="level of the classes (default: 3)")] = None,
    sample: Annotated[
        int | None,
        typer.Option(help="products drawn from the whole dump, at least two of every category (default: all)"),
    ] = None,
    minimum: Annotated[int | None, typer.Option(help="products that a category needs (default: 2)")] = None,
    cap: Annotated[int | None, typer.Option(help="products a category has at most: balanced sampling")] = None,
    pictures: Annotated[str | None, typer.Option(help="all or first: of a product (default: all)")] = None,
    validation: Annotated[
        float | None, typer.Option(help="share of the products that decides when to stop (default: 0.1)")
    ] = None,
    test: Annotated[float | None, typer.Option(help="share of the products to score on (default: 0.1)")] = None,
    seed: Annotated[int | None, typer.Option(help="decides sample, cap, split and order (default: 1)")] = None,
    without: Annotated[list[int] | None, typer.Option(help="category id to leave out; repeatable")] = None,
    verdicts: Annotated[
        str | None, typer.Option(help="database URL whose `verdicts` correct the labels; password by PGPASSWORD")
    ] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="processes that write (default: one a core)")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="count what would be written, and stop")] = False,
    tolerate: Tolerate = False,
) -> None:
    """Choose products, split them so that no picture is on two sides, and write their pictures for training.

    Three sides: train; validation, which decides when training stops and calibrates; test, which only scores. The
    same dump, categories and options write the same bytes. Interrupted, the same command goes on where it was.
    """
    from trainer.config import load
    from trainer.index import build
    from trainer.prepare.outline import outline
    from trainer.prepare.prepare import prepare as write
    from trainer.prepare.selection import recipe_of
    from trainer.prepare.verdicts import read_verdicts

    options = {
        "level": level, "sample": sample, "minimum": minimum, "cap": cap, "pictures": pictures,
        "validation": validation, "test": test, "seed": seed, "without": without or None,
    }  # fmt: skip
    recipe = recipe_of(load(config).config.data if config else None, options)
    with measuring() as track:
        index = build(dump, track("indexing", dump.stat().st_size))
    outlined = outline(index, categories, recipe, read_verdicts(verdicts) if verdicts else {})
    for line in outlined.lines():
        typer.echo(line)
    if not dry_run:
        with counting() as track:
            made = write(outlined, output, track("writing pictures", outlined.pictures), processes)
        typer.echo(f"{output}: {made.describe()}")
        if undecodable := made.manifest["undecodable_pictures"]:
            typer.echo(f"{undecodable:,} pictures do not decode and are left out: {output}/undecodable.csv lists them")
    if index.damage and not tolerate:
        raise index.damage


COMMANDS = (index, prepare)
