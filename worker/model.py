"""The model that is served: what the server says of it, and whether it is one of ours."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from worker.contract.errors import ModelUnfit
from worker.contract.serving_api import get_model_metadata_pb2
from worker.contract.signature import PREFIXES, Signature, inputs, misfits, outputs
from worker.tensors import describe


@dataclass(frozen=True, slots=True)
class Model:
    """What the server says of the model it serves now."""

    version: int
    #: pixels; None when the server has the jpeg signature alone
    side: int | None
    #: scores in a row of its answer, those of all levels; None when it does not say
    scores: int | None = None


def read(answer: Any, wanted: Signature, say: Callable[[int], str]) -> Model:
    """Read the answer to GetModelMetadata; raises ModelUnfit when it has not the signature `wanted`.

    `say` names the model of a version, and where it is, for errors.
    """
    signatures = get_model_metadata_pb2.SignatureDefMap()
    answer.metadata["signature_def"].Unpack(signatures)
    version = int(answer.model_spec.version.value)
    name = say(version)
    if wanted.value not in signatures.signature_def:
        raise ModelUnfit(
            f"{name} has no signature {wanted.value}: publish it with shelver-trainer, or set "
            f"SHELVER_SIGNATURE={'pixels' if wanted is Signature.JPEG else 'jpeg'}"
        )
    definition = signatures.signature_def[wanted.value]
    found = describe(definition.outputs)
    problems = [
        *misfits("input", inputs(wanted), describe(definition.inputs)),
        *misfits("output", outputs(), found),
    ]
    if problems:
        raise ModelUnfit(f"{name} does not fit: {'; '.join(problems)}; publish it with shelver-trainer")
    side = _side(signatures)
    if wanted is Signature.PIXELS and side is None:
        raise ModelUnfit(f"{name} does not say which square of pixels it takes; publish it anew")
    widths = [found[f"{prefix}score"].shape[1] for prefix in PREFIXES.values()]
    return Model(version, side, None if None in widths else sum(width or 0 for width in widths))


def _side(signatures: Any) -> int | None:
    if Signature.PIXELS.value not in signatures.signature_def:
        return None
    pixels = describe(signatures.signature_def[Signature.PIXELS.value].inputs).get("pixels")
    if pixels is None or len(pixels.shape) != 4 or pixels.shape[1] != pixels.shape[2]:
        return None
    return pixels.shape[1]
