"""The register as a person reads it: everything tried, newest first, and how often the model was right."""

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from deploy.console.classify.card import ROW, mark
from deploy.console.classify.names import Name, called
from deploy.console.classify.register import MOST_ENTRIES, Entry, Register
from deploy.console.text import percent, plain

ROWS_A_PAGE = 10
#: number and picture, what it is, its category, right or wrong
WIDTHS = [2, 5, 9, 4]
PICTURE_WIDTH = 56


def register_table(register: Register, names: Mapping[int, Name]) -> None:
    """Show a visit's register."""
    st.subheader("This visit")
    if not register.entries:
        st.caption("Everything you try is listed here; say whether the model is right, and see how often it was.")
        return
    accuracy = register.accuracy()
    *figures, download = st.columns([2, 2, 2, 3], vertical_alignment="bottom")
    figures[0].metric("Tried", len(register.entries))
    figures[1].metric("Marked", accuracy.marked)
    figures[2].metric("Accuracy of those marked", percent(accuracy.share))
    download.download_button(
        "Download as CSV",
        register.to_csv(names),
        "tried.csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
    )
    if len(register.entries) == MOST_ENTRIES:
        st.caption(f"The last {MOST_ENTRIES} are kept: download them before they make room for others.")
    _rows(list(reversed(register.entries)), names)
    _accuracy_by_category(register, names)


def _rows(entries: list[Entry], names: Mapping[int, Name]) -> None:
    rows = st.container(gap="xsmall")
    pages = -(-len(entries) // ROWS_A_PAGE)
    page = st.pagination(pages, key="register page") if pages > 1 else 1
    with rows:
        for entry in entries[(page - 1) * ROWS_A_PAGE : page * ROWS_A_PAGE]:
            _row(entry, names)


def _row(entry: Entry, names: Mapping[int, Name]) -> None:
    picture, what, category, said = st.columns(WIDTHS, vertical_alignment="center")
    picture.image(entry.thumbnails[0], width=PICTURE_WIDTH, alt=f"picture of {entry.name}")
    what.markdown(f"{plain(f'{entry.number}. {entry.name}')}  \n:small[{entry.source}]")
    category.markdown(f"{plain(called(entry.category_id, names))}  \n:small[{percent(entry.score)}]")
    with said:
        mark(entry, ROW)


def _accuracy_by_category(register: Register, names: Mapping[int, Name]) -> None:
    counted = register.accuracy_by_category()
    if not counted:
        return
    st.markdown("**Accuracy by predicted category**, of what you marked")
    table = pd.DataFrame(
        [
            {"Category": called(identity, names), "Marked": each.marked, "Right": each.right, "Accuracy": each.share}
            for identity, each in counted.items()
        ]
    )
    share = st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1)
    st.dataframe(table, hide_index=True, column_config={"Accuracy": share})
