"""The category tree with what each node holds, fullest branches first."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from trainer.explore.counts import Counts
from worker.contract.taxonomy import Category


@dataclass
class Node:
    """A category with those under it."""

    category: Category
    products: int
    pictures: int
    children: list["Node"] = field(default_factory=list)


def grow(counts: Counts) -> Sequence[Node]:
    """Return the nodes of level 1 with everything under them; among equals in order of name."""
    nodes = {each.id: Node(each, *counts.by_id[each.id]) for each in counts.taxonomy.categories}
    roots: list[Node] = []
    for node in sorted(nodes.values(), key=lambda each: (-each.products, each.category.name, each.category.id)):
        parent = node.category.parent_id
        (roots if parent is None else nodes[parent].children).append(node)
    return roots
