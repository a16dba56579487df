"""Translate the categories' French names to English, once each, into a file that people can edit."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from trainer.deadline import within
from trainer.translation.english_names import EnglishNames
from worker.contract.errors import ShelverError
from worker.contract.taxonomy import Taxonomy

#: translations between two writes of the file: what an interruption that leaves no time to write can cost
KEPT_EVERY = 50
#: waits before the service is asked again
PAUSES_SECONDS = (1.0, 4.0, 16.0)
#: after so many names in a row that the service has no answer to, it is the service that is at fault
MOST_UNANSWERED = 5
ANSWER_SECONDS = 20


class TranslationError(ShelverError):
    """The service failed; what it had translated is kept."""


class ServiceFailed(Exception):
    """The service does not answer for now: waiting can help."""


class Unanswered(Exception):
    """The service answers, but not with a translation of this name."""


class Translator(Protocol):
    """What translates; the rest of Shelver knows no more of it."""

    def translate(self, name: str) -> str:
        """Return the English for a French name; raises ServiceFailed or Unanswered."""


class Google:
    """Google Translate by way of deep-translator: no key, about five requests a second."""

    def __init__(self) -> None:
        from deep_translator import GoogleTranslator

        self._service = GoogleTranslator(source="fr", target="en")

    def translate(self, name: str) -> str:
        """Return the English for a French name; raises ServiceFailed or Unanswered."""
        from deep_translator import exceptions

        try:
            # deep-translator sets no timeout: a connection that falls silent would hold the command for ever.
            answer = within(ANSWER_SECONDS, lambda: self._service.translate(name))
        except TimeoutError as error:
            raise ServiceFailed(f"it does not answer within {ANSWER_SECONDS} s") from error
        except exceptions.TooManyRequests as error:
            raise ServiceFailed("it takes no more requests for now") from error
        except (exceptions.RequestError, OSError) as error:
            raise ServiceFailed(f"it cannot be reached: {type(error).__name__}") from error
        except exceptions.BaseError as error:
            raise Unanswered(str(error)) from error
        return name if answer is None else answer  # None where there is no letter to translate


def translate(
    taxonomy: Taxonomy,
    path: Path,
    translator: Translator | None,
    track: Callable[[str, int], Callable[[int], None]],
    pauses: Sequence[float] = PAUSES_SECONDS,
) -> EnglishNames:
    """Bring the file at `path` up to date with the tree and return it; without a translator nothing is asked.

    A name that the service has no answer to is left empty. Raises NamesError for a file that cannot be used, and
    TranslationError when the service fails; whatever ends it, what was translated is in the file.
    """
    names = EnglishNames(path, taxonomy)
    names.write()  # before anything is asked: a file that cannot be written shall cost no translation
    missing = names.missing()
    if translator and missing:
        advance = track("translating", len(missing))
        try:
            _fill(names, missing, translator, advance, pauses)
        finally:
            names.write()
    return names


def _fill(
    names: EnglishNames,
    missing: list[str],
    translator: Translator,
    advance: Callable[[int], None],
    pauses: Sequence[float],
) -> None:
    unanswered = 0
    for count, name in enumerate(missing, start=1):
        try:
            names.add(name, _ask(translator, name, pauses))
            unanswered = 0
        except (ServiceFailed, Unanswered) as error:
            unanswered += 1
            if isinstance(error, ServiceFailed) or unanswered == MOST_UNANSWERED:
                raise TranslationError(_told(names, missing, error)) from error
        advance(1)
        if count % KEPT_EVERY == 0:
            names.write()


def _ask(translator: Translator, name: str, pauses: Sequence[float]) -> str:
    for pause in pauses:
        try:
            return _cleaned(translator.translate(name))
        except ServiceFailed:
            time.sleep(pause)
    return _cleaned(translator.translate(name))


def _cleaned(answer: str) -> str:
    english = " ".join(answer.split())
    if not english:
        raise Unanswered("an empty answer")
    return english


def _told(names: EnglishNames, missing: list[str], error: Exception) -> str:
    left = len(names.missing())
    return (
        f"the translation service fails ({error}): {len(missing) - left:,} names were translated and are kept in "
        f"{names.path}, {left:,} are left; run the same command again later, or fill in name_en there by hand and use "
        "--offline"
    )
