"""What a model is asked about while other workers change what the store has."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import Engine, event

from tests.pictures import jpeg
from worker.asking import Stable
from worker.contract.messages import Page
from worker.contract.product import Product
from worker.contract.settings import Settings
from worker.outcome import Outcome, Prediction
from worker.patience import Patience
from worker.serving import Serving
from worker.store import Store

#: only the search for products with the same pictures compares them
LOOKS_FOR_TWINS = "predictions.fingerprint = "


def answer(settings: Settings, *products: Product) -> tuple[Outcome, dict[int, Prediction]]:
    """Do as a worker does once it has a page's products; return the outcome, and its predictions by product."""
    outcome = Outcome(Page(tuple(each.id for each in products)))
    with closing(Serving(settings)) as serving, closing(Store(settings)) as store:
        Stable(settings, serving, store).fill(outcome, list(products), Patience(5, outcome.seconds))
        store.save(outcome)
    return outcome, {each.product.id: each for each in outcome.predictions}


@contextmanager
def after(words: str, happen: Callable[[], object]) -> Iterator[None]:
    """Have something happen once, right after the first statement with these words."""
    waiting = [happen]

    def look(_: object, __: object, statement: str, *___: Any) -> None:
        if waiting and words in statement:
            waiting.pop()()

    event.listen(Engine, "after_cursor_execute", look)
    try:
        yield
    finally:
        event.remove(Engine, "after_cursor_execute", look)
    assert not waiting, f"no statement had {words}"


def test_a_twin_gets_other_pictures_while_its_answer_is_fetched(line: Settings) -> None:
    """Those of another twin, so that both have the answer to one picture, and nobody has that to the other any more."""
    _, before = answer(line, Product(1, (jpeg(1),)), Product(2, (jpeg(2),)))
    with after(LOOKS_FOR_TWINS, lambda: answer(line, Product(2, (jpeg(1),)))):
        outcome, told = answer(line, Product(3, (jpeg(1),)), Product(4, (jpeg(2),)))
    assert {each: told[each].candidates for each in told} == {3: before[1].candidates, 4: before[2].candidates}
    assert (len(outcome.predictions), outcome.copied, outcome.pictures) == (2, 1, 1)
