"""A page without a browser: Streamlit's own test of scripts, on the settings given."""

import gc
from collections.abc import Callable

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from worker.contract.settings import Settings

TIMEOUT_SECONDS = 60


def shown(page: Callable[[], None], settings: Settings, monkeypatch: pytest.MonkeyPatch, part: str) -> AppTest:
    """Return what a script shows with these settings, one of its tabs open; nothing is left of earlier answers."""
    for name, value in settings.environment().items():
        if value:
            monkeypatch.setenv(name, value)
    st.cache_data.clear()
    st.cache_resource.clear()
    gc.freeze()  # Streamlit collects after every run, which takes long with all of TensorFlow in the process
    test = AppTest.from_function(page, default_timeout=TIMEOUT_SECONDS)
    test.session_state["part"] = part
    test.run()
    assert not test.exception
    return test


def texts(test: AppTest) -> str:
    """Return all that is told in sentences, without the backslashes of plain()."""
    kinds = (test.markdown, test.caption, test.info, test.warning, test.error)
    return "\n".join(each.value for kind in kinds for each in kind).replace("\\", "")
