"""A page's way through the real servers, with both signatures."""

import io
import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import grpc
import numpy as np
import pytest
import tensorflow as tf
from bson.objectid import ObjectId
from PIL import Image
from pymongo.collection import Collection
from sqlalchemy import func, select
from tensorflow_serving.apis import predict_pb2

from tests.faults.proxies import PREDICT, Fault, ModelProxy
from tests.integration.conftest import SIDE, register, tiny_classifier, tiny_network
from tests.pictures import draw, encode, huge_png, jpeg, listing, stacked
from trainer.graph import Classifier, decode
from trainer.publishing.publish import publish
from trainer.run import Run
from trainer.serve.server import ModelServer
from worker import schema
from worker.catalog import Catalog
from worker.contract.database import Database
from worker.contract.errors import ModelUnfit, Unavailable
from worker.contract.messages import Page, Queue
from worker.contract.product import Product, stand_in_id, to_product_id
from worker.contract.rejects import Reason
from worker.contract.settings import Settings
from worker.contract.signature import Signature
from worker.contract.standing import Status
from worker.contract.tables import candidates, models, predictions, rejects
from worker.lookup import look_up
from worker.outcome import Outcome
from worker.pictures import Batch, Stacker
from worker.pipeline import Pipeline
from worker.serving import Serving
from worker.store import Store
from worker.tensors import from_proto

Listings = Collection[dict[str, object]]
Build = Callable[..., Pipeline]


@pytest.fixture(params=["pixels", "jpeg"])
def signature(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def build(line: Settings) -> Iterator[Build]:
    """Pipelines on the line's settings, some of them changed."""
    closing: list[Catalog | Serving | Store] = []

    def make(**changes: object) -> Pipeline:
        settings = line.model_copy(update=changes)
        catalog, serving, store = Catalog(settings), Serving(settings), Store(settings)
        closing.extend((catalog, serving, store))
        return Pipeline(settings, catalog, serving, store)

    yield make
    for each in closing:
        each.close()


@pytest.fixture
def database(line: Settings) -> Iterator[Database]:
    database = Database(line.database_url)
    yield database
    database.close()


def rows(database: Database, table) -> dict[int, object]:
    with database.begin() as connection:
        return {row.product_id: row for row in connection.execute(select(table))}


def predicted(outcome: Outcome) -> list[int]:
    return [each.product.id for each in outcome.predictions]


def test_a_listing_becomes_rows(
    build: Build, signature: str, listings: Listings, database: Database, classifier: Classifier
) -> None:
    """Ids in, predictions and ranked candidates out, equal to the graph asked directly."""
    pictures = [jpeg(seed) for seed in range(3)]
    listings.insert_many([listing(1, pictures[0]), listing(2, *pictures[1:], category=1000000004)])
    outcome = build(signature=signature).classify(Page((2, 1), Queue.BACKFILL, queued_at=1_000_000_000))
    assert predicted(outcome) == [2, 1]
    pixels = np.stack([np.asarray(_opened(each)) for each in pictures])
    expected = {k: v.numpy() for k, v in classifier(pixels, np.array([1, 2, 2]), np.array([0, 0, 1], np.int32)).items()}
    stored = rows(database, predictions)
    for identity, row in ((1, 0), (2, 1)):
        assert stored[identity].category_id == expected["category"][row][0]
        assert stored[identity].score == pytest.approx(float(expected["score"][row][0]), abs=1e-3)
        assert stored[identity].level2_id == expected["level2_category"][row][0]
        assert stored[identity].level1_score == pytest.approx(float(expected["level1_score"][row][0]), abs=1e-3)
    assert (stored[2].picture_count, stored[2].listed_category_id, stored[2].queue) == (2, 1000000004, Queue.BACKFILL)
    assert stored[2].queued_at.timestamp() == 1_000_000_000
    with database.begin() as connection:
        ranked = connection.execute(
            select(candidates.c.category_id).where(candidates.c.product_id == 2).order_by(candidates.c.rank)
        )
        assert list(ranked.scalars()) == expected["category"][1].tolist()


def test_bad_listings_are_rejected_with_their_reason_and_the_rest_is_predicted(
    build: Build, signature: str, listings: Listings, database: Database
) -> None:
    """Item errors are data: whatever a seller uploads, the page goes on."""
    sound, cut = jpeg(1), jpeg(2)[:1500]
    bad = {
        10: (listing(10, cut), Reason.UNDECODABLE),
        11: ({"_id": 11, "imgs": []}, Reason.NO_PICTURES),
        12: (listing(12, huge_png()), Reason.TOO_LARGE),
        13: (listing(13, encode(draw(3), "GIF")), Reason.WRONG_FORMAT),
        14: (listing(14, "a string"), Reason.NOT_BYTES),
        15: ({"_id": 15}, Reason.NO_PICTURES),
        16: ({"_id": 16, "imgs": "none"}, Reason.NO_PICTURES),
        17: (listing(17, b""), Reason.WRONG_FORMAT),
        18: (listing(18, b"\xff\xd8\xff" + b"\0" * 3000), Reason.UNDECODABLE),
        19: ({"_id": 19, "imgs": [{"picture": None}, 7]}, Reason.NOT_BYTES),
    }
    listings.insert_many([document for document, _ in bad.values()])
    listings.insert_many([listing(1, sound), listing(2, cut, sound), listing(3, encode(draw(4), "PNG"))])
    strange = ObjectId()
    listings.insert_one({"_id": strange, "imgs": [{"picture": sound}]})
    name = to_product_id(strange)
    outcome = build(signature=signature).classify(Page((*bad, name, 404, 1, 2, 3)))
    assert predicted(outcome) == [1, 2, 3]
    refused = rows(database, rejects)
    assert {identity: row.reason for identity, row in refused.items()} == {
        **{identity: reason for identity, (_, reason) in bad.items()},
        404: Reason.NOT_FOUND,
        stand_in_id(name): Reason.BAD_ID,
    }
    assert str(strange) in refused[stand_in_id(name)].detail
    assert "30,000 x 30,000" in refused[12].detail
    assert rows(database, predictions)[2].picture_count == 1


def test_both_signatures_give_the_same_answer(build: Build, listings: Listings, database: Database) -> None:
    """JPEG of any size, gray, CMYK and PNG alike: what is sent makes no difference to what is stored."""
    image = draw(7, 400)
    documents = [
        listing(1, jpeg(1)),
        listing(2, encode(image, "JPEG")),
        listing(3, encode(image.convert("L"), "JPEG")),
        listing(4, encode(image.convert("CMYK"), "JPEG")),
        listing(5, encode(image.convert("RGBA"), "PNG")),
        listing(6, encode(image.resize((90, 120)), "PNG"), jpeg(6)),
    ]
    listings.insert_many(documents)
    answers = []
    for signature in ("pixels", "jpeg"):
        listings.update_many({}, {"$set": {"touched": signature}})
        build(signature=signature).classify(Page((1, 2, 3, 4, 5, 6)))
        with database.begin() as connection:
            ranked = connection.execute(select(candidates).order_by(candidates.c.product_id, candidates.c.rank)).all()
            answers.append([(row.product_id, row.category_id, row.score) for row in ranked])
            for table in (candidates, predictions):
                connection.execute(table.delete())
    assert [row[:2] for row in answers[0]] == [row[:2] for row in answers[1]]
    assert [row[2] for row in answers[0]] == pytest.approx([row[2] for row in answers[1]], abs=1e-3)


def test_pictures_that_only_pillow_can_read_are_used_by_both_signatures(
    build: Build, signature: str, listings: Listings, database: Database
) -> None:
    """TensorFlow refuses some JPEGs with a scratch; the batch they are in is sent again, as Pillow read them."""
    scratched = only_pillow_reads()
    listings.insert_many(
        [listing(1), listing(2, scratched), listing(3, scratched, jpeg(3)), listing(4, scratched[:900])]
    )
    outcome = build(signature=signature).classify(Page((1, 2, 3, 4)))
    assert predicted(outcome) == [1, 2, 3]
    assert rows(database, predictions)[3].picture_count == 2
    assert rows(database, rejects)[4].reason == Reason.UNDECODABLE


def test_what_is_known_is_not_predicted_again(build: Build, listings: Listings, database: Database) -> None:
    """Enqueueing twice costs one SELECT; a relisting with new pictures is predicted anew."""
    listings.insert_many([listing(1), listing(2)])
    pipeline = build()
    pipeline.classify(Page((1, 2)))
    before = rows(database, predictions)
    listings.replace_one({"_id": 2}, listing(2, jpeg(50)))
    outcome = pipeline.classify(Page((1, 2, 1)))
    assert (outcome.known, predicted(outcome)) == ([1], [2])
    after = rows(database, predictions)
    assert after[1] == before[1]
    assert after[2].fingerprint != before[2].fingerprint


def answer_of(database: Database, identity: int) -> tuple[object, ...]:
    """All that the model said of a product: its row, less what is the product's own, and its ranking."""
    kept = ("category_id", "score", "margin", "level2_id", "level2_score", "level1_id", "level1_score", "picture_count")
    with database.begin() as connection:
        row = connection.execute(select(predictions).where(predictions.c.product_id == identity)).one()
        ranked = select(candidates.c.rank, candidates.c.category_id, candidates.c.score)
        ranked = ranked.where(candidates.c.product_id == identity).order_by(candidates.c.rank)
        return (*(getattr(row, name) for name in kept), *map(tuple, connection.execute(ranked)))


def test_twins_in_a_page_are_asked_about_once(
    build: Build, signature: str, listings: Listings, database: Database
) -> None:
    """The same bytes, the same answer, under each seller's own shelf; the order of pictures makes another product."""
    same = (jpeg(1), jpeg(2))
    listings.insert_many([listing(1, *same), listing(2, *same, category=77), listing(3), listing(4, *same, category=4)])
    listings.insert_one(listing(5, *reversed(same)))
    outcome = build(signature=signature).classify(Page((4, 3, 2, 1, 5)))
    assert (sorted(predicted(outcome)), outcome.copied, outcome.pictures) == ([1, 2, 3, 4, 5], 2, 5)
    assert answer_of(database, 1) == answer_of(database, 2) == answer_of(database, 4) != answer_of(database, 3)
    stored = rows(database, predictions)
    assert [stored[each].listed_category_id for each in (1, 2, 3, 4)] == [None, 77, None, 4]
    assert stored[1].fingerprint == stored[4].fingerprint != stored[5].fingerprint


def test_a_twin_of_an_earlier_page_gets_its_answer(build: Build, listings: Listings, database: Database) -> None:
    """Without asking the model; queue and moment are those of its own page."""
    listings.insert_many([listing(1), listing(2, jpeg(1)), listing(3, jpeg(1)), listing(4)])
    pipeline = build()
    first = pipeline.classify(Page((1,)))
    assert (first.copied, first.pictures, first.model_version) == (0, 1, 1)
    second = pipeline.classify(Page((2, 3), Queue.BACKFILL, queued_at=1_000_000_000))
    assert (second.copied, second.pictures, second.model_version, second.known) == (2, 0, None, [])
    assert answer_of(database, 1) == answer_of(database, 2) == answer_of(database, 3)
    assert rows(database, predictions)[3].queue == Queue.BACKFILL
    third = pipeline.classify(Page((1, 2, 3, 4)))
    assert (sorted(third.known), predicted(third), third.copied, third.pictures) == ([1, 2, 3], [4], 0, 1)


def test_without_copies_the_model_is_asked_about_every_product(
    build: Build, signature: str, listings: Listings, database: Database
) -> None:
    """Twins side by side in a call are kept apart, and what an earlier page knows is not looked for."""
    same = (jpeg(1), jpeg(2))
    listings.insert_many(
        [listing(1, *same), listing(2, *same), listing(3, jpeg(1)), listing(4, jpeg(1)), listing(5, *same)]
    )
    pipeline = build(signature=signature, copy_answers=False)
    outcome = pipeline.classify(Page((1, 2, 3, 4)))
    assert (predicted(outcome), outcome.copied, outcome.pictures) == ([1, 2, 3, 4], 0, 6)
    assert [each.picture_count for each in outcome.predictions] == [2, 2, 1, 1]
    assert answer_of(database, 1) == answer_of(database, 2) != answer_of(database, 3)
    outcome = pipeline.classify(Page((1, 5)))
    assert (outcome.known, predicted(outcome), outcome.copied, outcome.pictures) == ([1], [5], 0, 2)


def test_a_product_on_another_shelf_copies_its_own_answer(build: Build, listings: Listings, database: Database) -> None:
    """A seller who moves a listing gets a new row from the pictures that the model has seen."""
    listings.insert_one(listing(1, category=1000000001))
    pipeline = build()
    pipeline.classify(Page((1,)))
    before = answer_of(database, 1)
    listings.update_one({"_id": 1}, {"$set": {"category_id": 1000000002}})
    outcome = pipeline.classify(Page((1,)))
    assert (outcome.copied, outcome.pictures, outcome.known) == (1, 0, [])
    assert answer_of(database, 1) == before
    assert rows(database, predictions)[1].listed_category_id == 1000000002


def test_a_twin_of_a_rejected_product_is_rejected_alike(
    build: Build, signature: str, listings: Listings, database: Database
) -> None:
    """Each has a reject of its own, and none is copied from a page before: it is tried again."""
    listings.insert_many([listing(1, b"x"), listing(2, b"x"), listing(3, jpeg(3)), listing(4, b"x")])
    pipeline = build(signature=signature)
    assert pipeline.classify(Page((1, 2, 3))).copied == 0
    refused = rows(database, rejects)
    assert {each: row.reason for each, row in refused.items()} == dict.fromkeys((1, 2), Reason.WRONG_FORMAT)
    assert refused[1].detail == refused[2].detail
    pipeline.classify(Page((4, 1)))
    assert {each: row.attempts for each, row in rows(database, rejects).items()} == {1: 2, 2: 1, 4: 1}


def test_a_twin_that_only_pillow_reads_is_predicted_too(
    build: Build, signature: str, listings: Listings, database: Database
) -> None:
    """The batch is sent again in another form; twins keep their answers through that."""
    scratched = only_pillow_reads()
    listings.insert_many([listing(1, scratched), listing(2), listing(3, scratched)])
    outcome = build(signature=signature).classify(Page((1, 2, 3)))
    assert (sorted(predicted(outcome)), outcome.rejects, outcome.copied) == ([1, 2, 3], [], 1)
    assert answer_of(database, 1) == answer_of(database, 3)


def test_an_outcome_tells_what_it_took(build: Build, listings: Listings) -> None:
    """Seconds of every stage that was gone through, for the log; none of a stage that was not needed."""
    listings.insert_one(listing(1))
    pipeline = build()
    stages = {"catalog", "model", "known", "save"}
    assert set(pipeline.classify(Page((1,))).seconds) == stages | {"stack", "predict"}
    again = pipeline.classify(Page((1, 404)))
    assert set(again.seconds) == stages
    assert all(seconds >= 0 for seconds in again.seconds.values())


def test_a_poisonous_page_ends_as_rejects(build: Build, listings: Listings, database: Database) -> None:
    """No server but the store is asked, and an id that is no integer is told; a replayed product is predicted."""
    listings.insert_one(listing(1))
    pipeline = build(mongo_url="mongodb://127.0.0.1:9/", serving_address="127.0.0.1:9")
    name = to_product_id(ObjectId())
    outcome = pipeline.poison(Page((1, name)), "3 attempts at it ended its process")
    assert [each.product_id for each in outcome.rejects] == [1, stand_in_id(name)]
    assert {each: (row.reason, row.detail) for each, row in rows(database, rejects).items()} == {
        1: (Reason.POISON, "3 attempts at it ended its process"),
        stand_in_id(name): (Reason.BAD_ID, f"_id is {name}; 3 attempts at it ended its process"),
    }
    assert predicted(build().classify(Page((1,)))) == [1]
    assert set(rows(database, rejects)) == {stand_in_id(name)}


def test_a_poisonous_page_waits_for_a_store_that_is_away(build: Build) -> None:
    """Its rejects are as little lost as predictions are."""
    pipeline = build(database_url="postgresql+psycopg://u:secret@127.0.0.1:9/d", wait_limit_seconds=0.3)
    with pytest.raises(Unavailable, match="SHELVER_DATABASE_URL") as told:
        pipeline.poison(Page((1,)), "why")
    assert "secret" not in str(told.value)


def test_the_model_can_be_checked_without_a_page(build: Build) -> None:
    """Right, missing, unregistered and away are four answers, and the last says nothing of the model."""
    build().check_model()
    with pytest.raises(ModelUnfit, match="does not serve nosuch"):
        build(model_name="nosuch").check_model()
    with pytest.raises(Unavailable, match="SHELVER_SERVING_ADDRESS") as told:
        build(serving_address="127.0.0.1:9", connect_timeout_seconds=0.3).check_model()
    assert not isinstance(told.value, ModelUnfit)


def test_a_model_that_nobody_registered_is_unfit(build: Build, listings: Listings, database: Database) -> None:
    """Told at once, however long servers are waited for: a person must publish it."""
    with database.begin() as connection:
        connection.execute(models.delete())
    listings.insert_one(listing(1))
    pipeline = build(wait_limit_seconds=10_000)
    for ask in (pipeline.check_model, lambda: pipeline.classify(Page((1,)))):
        with pytest.raises(ModelUnfit, match="version 1 is served but not registered"):
            ask()


def rows_of(batch: Batch) -> dict[str, np.ndarray]:
    return {"pixels": np.stack(list(batch.pictures)), "product": batch.product, "picture": batch.picture}


def joined(*batches: Batch) -> Batch:
    """One batch of several, as the model server makes of requests that come together."""
    parts = [rows_of(each) for each in batches]
    pixels, product, picture = (np.concatenate([part[name] for part in parts]) for name in parts[0])
    return Batch([product for each in batches for product in each.products], stacked(pixels), product, picture)


@pytest.fixture
def changed() -> list[Batch]:
    """Requests of three workers: one product before and after its pictures were changed, and others beside it."""
    stacker = Stacker(Settings(), Signature.PIXELS, 180)
    before, after = Product(7, (jpeg(1), jpeg(2))), Product(7, (jpeg(1), jpeg(3), jpeg(4)))
    groups = [before, Product(8, (jpeg(5),))], [after], [Product(9, (jpeg(6),)), Product(7, (jpeg(2), jpeg(1)))]
    return [stacker.stack(group)[0] for group in groups]


def test_requests_that_the_server_merges_do_not_mix_pictures(line: Settings, changed: list[Batch]) -> None:
    """One id with other pictures in another request is another product: each gets the answer that it gets alone."""
    with closing(Serving(line)) as serving:
        alone = [each for batch in changed for each in serving.predict(batch)]
        merged = serving.predict(joined(*changed))
    assert [each.product for each in merged] == [each.product for each in alone]
    assert [each.picture_count for each in merged] == [2, 1, 3, 1, 2]
    for one, other in zip(merged, alone, strict=True):
        assert [identity for identity, _ in one.candidates] == [identity for identity, _ in other.candidates]
        assert [score for _, score in one.candidates] == pytest.approx([s for _, s in other.candidates], abs=1e-6)
        assert one.level1 == pytest.approx(other.level1, abs=1e-6)


def test_requests_that_the_server_merges_and_pads_may_repeat_a_product(
    classifier: Classifier, changed: list[Batch]
) -> None:
    """The same page delivered to two workers, and a batch filled up with a row of the last: nothing counts twice."""
    first, second, _ = changed
    alone = {name: values.numpy() for name, values in classifier(**rows_of(first)).items()}
    repeated = rows_of(joined(first, second, first))
    padded = {name: np.concatenate([values, values[6:7], values[6:7]]) for name, values in repeated.items()}
    answer = {name: values.numpy() for name, values in classifier(**padded).items()}
    for name, values in alone.items():
        for start in (0, 6):
            assert answer[name][start : start + 3] == pytest.approx(values, abs=1e-6), name


def test_a_page_over_the_batch_limit_goes_in_several_calls(
    build: Build, listings: Listings, database: Database
) -> None:
    """No product is cut in two, none is left out."""
    listings.insert_many([listing(each, *(jpeg(each * 10 + index) for index in range(3))) for each in range(1, 8)])
    build(max_batch_pictures=7, max_pictures=3).classify(Page(tuple(range(1, 8))))
    assert {identity: row.picture_count for identity, row in rows(database, predictions).items()} == dict.fromkeys(
        range(1, 8), 3
    )


@pytest.mark.parametrize(
    ("setting", "value", "named"),
    [
        ("serving_address", "127.0.0.1:9", "SHELVER_SERVING_ADDRESS"),
        ("mongo_url", "mongodb://user:secret@127.0.0.1:9/", "SHELVER_MONGO_URL"),
    ],
)
def test_a_server_that_stays_away_gives_the_page_back(
    build: Build, listings: Listings, database: Database, setting: str, value: str, named: str
) -> None:
    """Waited for in place, then told by its variable, with nothing stored and no secret shown."""
    listings.insert_one(listing(1))
    pipeline = build(**{setting: value}, wait_limit_seconds=0.5, connect_timeout_seconds=0.3)
    with pytest.raises(Unavailable, match=named) as told:
        pipeline.classify(Page((1,)))
    assert "secret" not in str(told.value)
    assert not rows(database, predictions)
    assert not rows(database, rejects)


def test_a_model_that_is_not_served_is_told_by_name(build: Build, listings: Listings) -> None:
    """Nothing is rejected for it, and nothing waited for: a person must act, and the worker takes no more pages."""
    listings.insert_one(listing(1))
    with pytest.raises(ModelUnfit, match="does not serve nosuch.*SHELVER_MODEL_NAME"):
        build(model_name="nosuch", wait_limit_seconds=10_000).classify(Page((1,)))


def test_a_model_with_other_tensors_is_told_in_one_sentence(
    build: Build, listings: Listings, tmp_path, database: Database
) -> None:
    """A stranger's model on the right name: no product is blamed for it."""

    class Stranger(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 32), tf.float32)])
        def __call__(self, x):
            return {"y": x}

    stranger = Stranger()
    tf.saved_model.save(stranger, str(tmp_path / "shelver" / "1"), signatures=stranger.__call__)
    listings.insert_one(listing(1))
    with ModelServer(tmp_path, port=0) as server:
        pipeline = build(serving_address=server.address, wait_limit_seconds=10_000)
        with pytest.raises(ModelUnfit, match="does not fit: .*input pixels is missing.*output category is missing"):
            pipeline.classify(Page((1,)))
    assert not rows(database, rejects)


@pytest.fixture
def proxy(line: Settings) -> Iterator[ModelProxy]:
    """A way to the line's model server that can be disturbed."""
    proxy = ModelProxy(line.serving_address)
    yield proxy
    proxy.close()


def asks_for(keys: set[int], code: grpc.StatusCode) -> Fault:
    """Fail at these products, by the keys of their pictures, and at no other."""

    def fault(method: str, request: bytes) -> grpc.StatusCode | None:
        if not method.endswith(PREDICT):
            return None
        asked = from_proto(predict_pb2.PredictRequest.FromString(request).inputs["product"])
        return code if keys & set(asked.tolist()) else None

    return fault


@pytest.mark.parametrize("code", ["INTERNAL", "UNKNOWN", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "INVALID_ARGUMENT"])
def test_a_product_that_the_model_fails_at_for_ever_is_rejected(
    code: str, build: Build, proxy: ModelProxy, listings: Listings, database: Database
) -> None:
    """However the model puts it: it answers for the others, and their page does not go round and round."""
    documents = [listing(identity) for identity in range(1, 9)]
    listings.insert_many(documents)
    bad = Product.from_document(documents[2]).picture_key
    proxy.fault = asks_for({bad}, grpc.StatusCode[code])
    outcome = build(serving_address=proxy.address, wait_limit_seconds=0.5).classify(Page(tuple(range(1, 9))))
    assert sorted(predicted(outcome)) == [1, 2, 4, 5, 6, 7, 8]
    (reject,) = rows(database, rejects).values()
    assert (reject.product_id, reject.reason) == (3, Reason.REFUSED_BY_MODEL)
    assert "this is a test" in reject.detail


def test_a_product_alone_is_asked_about_more_than_once(
    build: Build, proxy: ModelProxy, listings: Listings, database: Database
) -> None:
    """A server that comes back between two calls is no proof against a product."""
    listings.insert_one(listing(1))
    failures = iter([grpc.StatusCode.INTERNAL, None, grpc.StatusCode.INTERNAL, None, None])
    proxy.fault = lambda method, request: next(failures) if method.endswith(PREDICT) else None
    outcome = build(serving_address=proxy.address, wait_limit_seconds=0.001).classify(Page((1,)))
    assert predicted(outcome) == [1]
    assert not rows(database, rejects)


@pytest.mark.parametrize(
    ("code", "told"), [("INTERNAL", Unavailable), ("RESOURCE_EXHAUSTED", Unavailable), ("INVALID_ARGUMENT", ModelUnfit)]
)
def test_a_model_that_fails_at_everything_is_to_blame_itself(
    code: str, told: type[Exception], build: Build, proxy: ModelProxy, listings: Listings, database: Database
) -> None:
    """It fails at a plain picture too: no product is rejected, and the page goes back."""
    listings.insert_many([listing(1), listing(2)])
    proxy.fault = lambda method, request: grpc.StatusCode[code] if method.endswith(PREDICT) else None
    pipeline = build(serving_address=proxy.address, wait_limit_seconds=0.3)
    for ask in (lambda: pipeline.classify(Page((1, 2))), pipeline.check_model):
        with pytest.raises(Unavailable) as caught:
            ask()
        assert type(caught.value) is told
    assert not rows(database, rejects)
    assert not rows(database, predictions)


def test_a_model_of_nan_is_unfit(
    build: Build, listings: Listings, database: Database, run: Run, line: Settings, tmp_path
) -> None:
    """Its signature says nothing of that: it is found out by what it answers for a plain picture."""
    network = tiny_network(run)
    network.layers[-1].set_weights([np.full_like(each, np.nan) for each in network.layers[-1].get_weights()])
    registry = Settings(database_url=f"sqlite:///{tmp_path / 'registry.db'}")
    schema.migrate(registry)
    classifier = Classifier(network, run.classes, run.taxonomy, SIDE)
    publish(run, classifier, tmp_path / "models", "shelver", 1, registry.database_url)
    listings.insert_one(listing(1))
    with ModelServer(tmp_path / "models", port=0) as server:
        pipeline = build(serving_address=server.address)
        for ask in (pipeline.check_model, lambda: pipeline.classify(Page((1,)))):
            with pytest.raises(ModelUnfit, match="fails even at plain pictures: .*a score that is no number"):
                ask()
    assert not rows(database, rejects)


def test_a_new_version_takes_over_between_pages(
    build: Build, listings: Listings, database: Database, line: Settings, run: Run, classifier: Classifier, tmp_path
) -> None:
    """What the old version predicted is predicted by the new one too; both answers stay, each under its version."""
    registry = Settings(database_url=f"sqlite:///{tmp_path / 'registry.db'}")
    schema.migrate(registry)
    folder = tmp_path / "models"
    publish(run, classifier, folder, "shelver", 1, registry.database_url)
    register(run, line, version=2)
    listings.insert_one(listing(1))
    with ModelServer(folder, port=0, poll_seconds=0.1) as server:
        pipeline = build(serving_address=server.address)
        pipeline.classify(Page((1,)))
        publish(run, tiny_classifier(run, seed=2), folder, "shelver", None, registry.database_url)
        deadline = time.monotonic() + 60
        while not pipeline.classify(Page((1,))).predictions:  # known to version 1 until version 2 is noticed
            assert time.monotonic() < deadline
            time.sleep(0.1)
    with database.begin() as connection:
        query = select(models.c.version).join(predictions).where(predictions.c.product_id == 1)
        assert sorted(connection.scalars(query)) == [1, 2]


def test_show_knows_predicted_rejected_pending_and_unknown(build: Build, listings: Listings, line: Settings) -> None:
    """A status by product id, with names."""
    listings.insert_many([listing(1, category=1000000006), listing(2, b"x"), listing(3)])
    build().classify(Page((1, 2)))
    found = look_up(line, [1, 2, 3, 4])
    assert [each.status for each in found] == [Status.PREDICTED, Status.REJECTED, Status.PENDING, Status.UNKNOWN]
    prediction = found[0].predictions[0]
    assert prediction.listed == "VELO"
    assert prediction.path[0].name in ("MAISON", "SPORT")
    assert len(prediction.candidates) == 6
    assert sum(shelf.score for shelf in prediction.candidates) == pytest.approx(1, abs=1e-5)
    assert found[1].reject is not None
    assert "wrong_format" in found[1].reject


def test_every_listing_ends_as_exactly_one_row(build: Build, listings: Listings, database: Database) -> None:
    """A larger page of all kinds: predictions plus rejects are the ids, each once."""
    listings.insert_many([listing(each) if each % 5 else listing(each, b"broken") for each in range(1, 301)])
    build().classify(Page(tuple(range(1, 301))))
    with database.begin() as connection:
        assert connection.scalar(select(func.count()).select_from(predictions)) == 240
        assert connection.scalar(select(func.count()).select_from(rejects)) == 60


def _opened(data: bytes):
    return Image.open(io.BytesIO(data))


def only_pillow_reads() -> bytes:
    """A damaged JPEG that Pillow decodes and TensorFlow does not."""
    chance = random.Random(0)
    while True:
        data = bytearray(jpeg(1))
        for _ in range(3):
            data[chance.randrange(2, len(data))] = chance.randrange(256)
        try:
            _opened(bytes(data)).load()
        except (OSError, SyntaxError, ValueError):
            continue
        try:
            decode(tf.constant(bytes(data)), 180)
        except tf.errors.InvalidArgumentError:
            return bytes(data)
