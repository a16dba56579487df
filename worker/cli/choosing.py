"""How rejects are chosen on the command line: by id, reason and age."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.arguments import to_key, to_moment
from worker.contract.errors import ShelverError
from worker.contract.rejects import Reason

if TYPE_CHECKING:
    from worker.rejected import Choice

Ids = Annotated[list[str], typer.Argument(help="product ids, as in the catalog or as `rejects list` shows them")]
AnyIds = Annotated[list[str] | None, typer.Argument(help="product ids; any when left out", show_default=False)]
Reasons = Annotated[
    list[Reason] | None, typer.Option("--reason", metavar="REASON", help=f"may be repeated: {', '.join(Reason)}")
]
OlderThan = Annotated[
    datetime | None,
    typer.Option(parser=to_moment, metavar="AGE", help="rejected for the last time longer ago, e.g. 90s, 30m, 2h, 7d"),
]
NewerThan = Annotated[
    datetime | None, typer.Option(parser=to_moment, metavar="AGE", help="rejected for the last time since, e.g. 7d")
]
All = Annotated[bool, typer.Option("--all", help="every reject there is")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="only count")]


class NothingChosen(ShelverError):
    """Neither ids nor filters are given to a command that changes something."""


def choose(
    ids: Sequence[str] | None,
    reasons: Sequence[Reason] | None,
    before: datetime | None,
    since: datetime | None,
    everything: bool | None = None,
) -> "Choice":
    """Return what is chosen; a command that changes something passes whether --all is given."""
    from worker.rejected import Choice

    choice = Choice(tuple(map(to_key, ids or ())), tuple(reasons or ()), before, since)
    if everything is False and choice.is_all:
        raise NothingChosen("nothing is chosen: name ids, or give --reason, --older-than, --newer-than or --all")
    if everything and not choice.is_all:
        raise NothingChosen("--all is every reject: leave it out, or leave out the ids and filters")
    return choice
