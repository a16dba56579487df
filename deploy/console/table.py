"""A table that shows the first rows, and gives away all of them, without formulas.

Streamlit's own download of what is shown, which quotes nothing, deploy.console.app hides.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from deploy.console.text import harmless

#: that a browser is given
ROWS_SHOWN = 500
SHARE = st.column_config.NumberColumn(format="percent")
NUMBER = st.column_config.NumberColumn(format="localized")


def show_table(rows: pd.DataFrame, columns: Mapping[str, Any], name: str, order: str) -> None:
    """Show rows that are in the order told; a click on a heading sorts them, a button gives NAME.csv with all."""
    st.dataframe(
        rows.head(ROWS_SHOWN), hide_index=True, column_config=dict(columns), placeholder="", key=name, alt=name
    )
    told, button = st.columns([3, 1], vertical_alignment="center")
    shown = f"{ROWS_SHOWN:,} of {len(rows):,}" if len(rows) > ROWS_SHOWN else f"{len(rows):,}"
    told.caption(f"{shown} rows, {order}; click a heading to sort them.")
    button.download_button(
        "Download all as CSV",
        lambda: _csv(rows),
        f"{name}.csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
        width="stretch",
        key=f"download {name}",
    )


def _csv(rows: pd.DataFrame) -> bytes:
    """Return UTF-8 with the mark by which spreadsheets know it; no cell is a formula."""
    text = rows.map(harmless)
    return str(text.to_csv(index=False)).encode("utf-8-sig")
