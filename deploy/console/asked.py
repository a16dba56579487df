"""Questions to the store whose answers all visits share for a few minutes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Concatenate, ParamSpec, TypeVar

import streamlit as st
from sqlalchemy import Connection

from deploy.console import resources
from deploy.console.app import tell
from worker.contract.errors import ShelverError

P = ParamSpec("P")
T = TypeVar("T")

#: how old an answer may be
AGE_SECONDS = 300
#: in memory, of all answers; those unused for longest go
ANSWERS_SIZE = "64MB"


def _name(function: FunctionType) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def asked(question: Callable[Concatenate[Connection, P], T], *arguments: P.args, **options: P.kwargs) -> T:
    """Return what `question` returns of the store, asked AGE_SECONDS ago at most; raises what it raises.

    The key is the question's name with its arguments, which must be equal to be the same: a moment that is now is not.
    """
    return _asked(question, arguments, options)


@st.cache_data(
    ttl=AGE_SECONDS, max_size=ANSWERS_SIZE, show_spinner="Asking the store", hash_funcs={FunctionType: _name}
)
def _asked(question: Callable[..., T], arguments: tuple[object, ...], options: dict[str, object]) -> T:
    with resources.store().begin() as connection:
        return question(connection, *arguments, **options)


@contextmanager
def told() -> Iterator[None]:
    """Show an error of a part of a page in its place, so that the other parts stay."""
    try:
        yield
    except ShelverError as error:
        tell(error)
