"""A Streamlit script that shows hostile names in every way that pages show names."""

import numpy as np
import streamlit as st

from deploy.console.text import plain

NAMES = (
    "<script>alert(1)</script><img src=http://evil.example/x.png>",
    "![x](http://evil.example/y.png) [link](http://evil.example)",
    "**bold** _it_ ~~gone~~ `code` ``",
    "# heading",
    "1. first",
    "- item",
    "> quote",
    "    indented",
    "a | b",
    "---",
    "$x^2$ $$y$$ \\alpha",
    ":red[no] :blue-background[no] :small[no] :material/delete: :material_delete: :streamlit:",
    ":smile: a:+1:b :-) ;) <3",
    "http://evil.example/z https://evil.example www.evil.example me@evil.example mailto:me@evil.example",
    "a -> b <- c <-> d -- e >= f <= g ~= h",
    "&lt; &amp; &#58;smile&#58; \\*",
    "[^1] [x]: http://evil.example",
    "::note[no]{.x} :::",
    "TÉLÉPHONIE - GPS / CAFÉ & THÉ (L'ÉTÉ), 50% : D'OCCASION",
)


def show() -> None:
    """Show each name in a container of its own."""
    for place, name in enumerate(NAMES):
        with st.container(key=f"name-{place}"):
            st.markdown(plain(name))
            st.caption(plain(name))
            st.error(plain(name))
            st.expander(plain(name)).text(name)
            st.button(plain(name), key=f"button-{place}")
            st.checkbox(plain(name), key=f"checkbox-{place}")
            st.radio("one of", [name], format_func=plain, key=f"radio-{place}")
            st.image(np.zeros((8, 8, 3), np.uint8), caption=plain(name))


if __name__ == "__main__":
    show()
