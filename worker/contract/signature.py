"""The exported model's inputs and outputs, by name, dtype and shape.

Both signatures answer row i for input row i: the product that row i belongs to, averaged over its pictures.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

#: rows of the batch, or the model's own choice (the width of a top-k); checked as "any size"
ANY = None


class Signature(StrEnum):
    """The two ways to send a picture."""

    #: decoded by the worker, proven sound before it is sent
    PIXELS = "serving_default"
    #: decoded in the graph: ~12x fewer bytes, for GPU hosts with spare cores
    JPEG = "jpeg"


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output: dtype as numpy names it ("bytes" for TF's string) and shape, None for any size."""

    dtype: str
    shape: tuple[int | None, ...]


#: rows with the same product are averaged; a (product, picture) pair counts once however often it appears
OWNERS = {"product": Tensor("int64", (ANY,)), "picture": Tensor("int32", (ANY,))}
#: level -> prefix of its two outputs; level 3 has none, being the one that is stored first
PREFIXES = {3: "", 2: "level2_", 1: "level1_"}


def inputs(signature: Signature, side: int | None = ANY) -> dict[str, Tensor]:
    """Return the inputs of `signature` for pictures of side x side pixels."""
    if signature is Signature.JPEG:
        return {"jpeg": Tensor("bytes", (ANY,)), **OWNERS}
    return {"pixels": Tensor("uint8", (ANY, side, side, 3)), **OWNERS}


def outputs() -> dict[str, Tensor]:
    """Return the outputs: ids and scores, best first, of each level, and how many pictures were averaged."""
    ranked = {
        prefix + name: Tensor(dtype, (ANY, ANY))
        for prefix in PREFIXES.values()
        for name, dtype in (("category", "int64"), ("score", "float32"))
    }
    return {**ranked, "pictures": Tensor("int32", (ANY,))}


def misfits(kind: str, expected: dict[str, Tensor], found: dict[str, Tensor]) -> Iterable[str]:
    """Yield a clause for every tensor that is missing, unexpected, or of another dtype or shape."""
    for name in sorted(expected.keys() - found.keys()):
        yield f"{kind} {name} is missing"
    for name in sorted(found.keys() - expected.keys()):
        if kind == "input":  # further outputs do no harm
            yield f"{kind} {name} is not known to this version of Shelver"
    for name in sorted(expected.keys() & found.keys()):
        if not _fits(expected[name], found[name]):
            yield f"{kind} {name} is {_say(found[name])} where {_say(expected[name])} is needed"


def _fits(expected: Tensor, found: Tensor) -> bool:
    sizes = zip(expected.shape, found.shape, strict=False)
    return (
        expected.dtype == found.dtype
        and len(expected.shape) == len(found.shape)
        and all(want in (ANY, have) for want, have in sizes)
    )


def _say(tensor: Tensor) -> str:
    return f"{tensor.dtype}[{', '.join('any' if size is None else str(size) for size in tensor.shape)}]"
