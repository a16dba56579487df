"""The three ways to say what the model shall be asked about: files, an address, a product drawn from the catalog."""

from collections.abc import Callable

import streamlit as st

from deploy.console import resources
from deploy.console.classify.classifying import Item, Source
from deploy.console.classify.fetch import fetch
from worker.contract.errors import ShelverError

#: gives the items, once the person has asked for them; raises ShelverError for what cannot be had
Collect = Callable[[], list[Item]]

SOURCES = {
    Source.UPLOAD: ":material/upload: Upload pictures",
    Source.URL: ":material/link: Paste an address",
    Source.CATALOG: ":material/casino: Draw from the catalog",
}
#: as browsers count them, so that the limit is never below ours
MEGABYTE = 10**6


class NothingToAsk(ShelverError):
    """There is no picture to ask about."""


def chosen() -> Collect | None:
    """Show one of the ways; return what gives its items when the person has just asked for them."""
    source = st.segmented_control(
        "Where the pictures are",
        list(Source),
        format_func=SOURCES.__getitem__,
        default=Source.UPLOAD,
        required=True,
        label_visibility="collapsed",
    )
    return {Source.UPLOAD: _upload, Source.URL: _paste, Source.CATALOG: _draw}[source]()


def _upload() -> Collect | None:
    is_each_a_product = st.checkbox("Each picture is a product of its own")
    # Of any kind: what is no picture is told by a sentence, where the browser would only mark it.
    limit_megabytes = -(-resources.settings().max_picture_bytes // MEGABYTE)
    with st.form("upload", clear_on_submit=True, border=False):
        files = st.file_uploader(
            "JPEG or PNG; a file that is too large turns red, and is left out",
            accept_multiple_files=True,
            max_upload_size=limit_megabytes,
        )
        is_wanted = st.form_submit_button("Classify", type="primary")

    def collect() -> list[Item]:
        if not files:
            raise NothingToAsk("choose a picture first")
        pictures = [(file.name, file.getvalue()) for file in files]
        products = [[picture] for picture in pictures] if is_each_a_product else [pictures]
        return [Item(Source.UPLOAD, _name(each), tuple(each)) for each in products]

    return collect if is_wanted else None


def _name(pictures: list[tuple[str, bytes]]) -> str:
    return pictures[0][0] + (f" and {len(pictures) - 1} more" if len(pictures) > 1 else "")


def _paste() -> Collect | None:
    with st.form("address", border=False):
        address = st.text_input("Address of a picture on the web", placeholder="https://", max_chars=2000)
        is_wanted = st.form_submit_button("Classify", type="primary")

    def collect() -> list[Item]:
        name = address.strip()
        if not name:
            raise NothingToAsk("paste the address of a picture first")
        return [Item(Source.URL, name, ((name, fetch(name, resources.settings().max_picture_bytes)),))]

    return collect if is_wanted else None


def _draw() -> Collect | None:
    st.caption("A product is drawn at random, and what the model says compared with its seller's category.")

    def collect() -> list[Item]:
        product = resources.catalog().draw()
        if product is None:
            settings = resources.settings()
            raise NothingToAsk(
                f"no product could be drawn from {settings.mongo_database}.{settings.mongo_collection} in MongoDB: "
                "load some with shelver-producer load, or look at SHELVER_MONGO_DATABASE, SHELVER_MONGO_COLLECTION and "
                "SHELVER_MONGO_FILTER"
            )
        name = f"product {product.id}"
        pictures = [(f"picture {number} of {name}", data) for number, data in enumerate(product.pictures, start=1)]
        return [Item(Source.CATALOG, name, tuple(pictures), product.category_id)]

    return collect if st.button("Draw a product", type="primary") else None
