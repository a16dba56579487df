"""Text that others wrote, as Streamlit shall show it, and figures as all pages write them."""

import re

#: shows nothing and breaks no line, but parts what Streamlit would take together
JOINER = "\N{WORD JOINER}"

#: what Markdown takes a backslash before
PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
#: where Streamlit sees an emoji, a link or an arrow after the backslashes are gone: at the first character
BEYOND_BACKSLASHES = re.compile(
    r":(?=[\w+-]+:)"  # :smile:
    r"|(?:(?<=http)|(?<=https)):(?=//)"
    r"|www(?=\.)"
    r"|(?<=[\w.+-])@(?=[\w-]+\.)"
    r"|(?<!\S)[<>~-](?=[>=-]{1,2}(?!\S))",  # <->
    flags=re.ASCII | re.IGNORECASE,
)

#: marks and overrides of direction, by which a name could turn round what is written beside it
DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
#: of one text; no name is as long, and a sentence with a server's own in it fits
LONGEST_CHARACTERS = 500

#: a spreadsheet takes what starts with one of these for a formula, and would do what it says
FORMULA_STARTS = ("=", "+", "-", "@")


def plain(text: str) -> str:
    """Return Markdown that shows `text` as it is, on one line, whatever it holds; cut if it is long.

    For what Streamlit reads as Markdown: st.markdown, st.caption, st.error, and every label. Not for the options of a
    select box, the cells of a table or st.text, which show text as it is by themselves.
    """
    line = " ".join(DIRECTIONS.sub("", text).split())
    if len(line) > LONGEST_CHARACTERS:
        line = f"{line[: LONGEST_CHARACTERS - 1]}…"
    parted = BEYOND_BACKSLASHES.sub(rf"\g<0>{JOINER}", line)
    return PUNCTUATION.sub(r"\\\1", parted)


def both_names(name: str, name_en: str | None) -> str:
    """Return a category's French name, with the English one where there is another: TASSE · CUP."""
    return f"{name} · {name_en}" if name_en and name_en != name else name


def harmless(cell: object) -> object:
    """Return a cell of a CSV file for a spreadsheet: a text that it would take for a formula is quoted."""
    if isinstance(cell, str) and cell.lstrip().startswith(FORMULA_STARTS):
        return f"'{cell}"
    return cell


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share of 1 as a percentage; a dash where there is none."""
    return "-" if share is None else f"{100 * share:.{digits}f} %"
