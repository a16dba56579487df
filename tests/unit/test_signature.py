"""What a served model must have, and what is said of one that has not."""

import pytest

from worker.contract.signature import Signature, Tensor, inputs, misfits, outputs

PIXELS = inputs(Signature.PIXELS)


def test_the_names_on_the_wire_never_change() -> None:
    """Every published model has them; this is the whole of both signatures."""
    assert [each.value for each in Signature] == ["serving_default", "jpeg"]
    owners = {"product": Tensor("int64", (None,)), "picture": Tensor("int32", (None,))}
    assert inputs(Signature.PIXELS, 180) == {"pixels": Tensor("uint8", (None, 180, 180, 3)), **owners}
    assert inputs(Signature.JPEG, 180) == {"jpeg": Tensor("bytes", (None,)), **owners}
    ids, scores = Tensor("int64", (None, None)), Tensor("float32", (None, None))
    assert outputs() == {
        "category": ids,
        "score": scores,
        "level2_category": ids,
        "level2_score": scores,
        "level1_category": ids,
        "level1_score": scores,
        "pictures": Tensor("int32", (None,)),
    }


@pytest.mark.parametrize(
    "found",
    [
        PIXELS,
        inputs(Signature.PIXELS, 180),
        {**PIXELS, "product": Tensor("int64", (64,))},
    ],
    ids=["same", "a side of its own", "a fixed batch"],
)
def test_a_model_that_fits_has_no_misfits(found: dict[str, Tensor]) -> None:
    """Any size is good where any size is asked for."""
    assert list(misfits("input", PIXELS, found)) == []


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({}, ["input picture is missing", "input pixels is missing", "input product is missing"]),
        ({**PIXELS, "mask": Tensor("bool", ())}, ["input mask is not known to this version of Shelver"]),
        (
            {**PIXELS, "product": Tensor("int32", (None,))},
            ["input product is int32[any] where int64[any] is needed"],
        ),
        (
            {**PIXELS, "pixels": Tensor("uint8", (None, 180, 180, 1))},
            ["input pixels is uint8[any, 180, 180, 1] where uint8[any, any, any, 3] is needed"],
        ),
        (
            {**PIXELS, "picture": Tensor("int32", ())},
            ["input picture is int32[] where int32[any] is needed"],
        ),
        (
            {**PIXELS, "picture": Tensor("int32", (None, 1))},
            ["input picture is int32[any, 1] where int32[any] is needed"],
        ),
    ],
)
def test_every_misfit_is_told(found: dict[str, Tensor], told: list[str]) -> None:
    """A clause for each tensor says what is there and what is needed."""
    assert list(misfits("input", PIXELS, found)) == told


def test_a_fixed_size_must_be_that_size() -> None:
    """Where a side is asked for, neither another side nor an open one fits."""
    wanted = inputs(Signature.PIXELS, 180)
    for side in (224, None):
        clauses = list(misfits("input", wanted, inputs(Signature.PIXELS, side)))
        assert len(clauses) == 1
        assert clauses[0].endswith("where uint8[any, 180, 180, 3] is needed")


def test_further_outputs_do_no_harm() -> None:
    """A later model may answer more; only what this version reads must be there."""
    assert list(misfits("output", outputs(), {**outputs(), "embedding": Tensor("float32", (None, 1280))})) == []
    missing = {name: tensor for name, tensor in outputs().items() if name != "pictures"}
    assert list(misfits("output", outputs(), missing)) == ["output pictures is missing"]
