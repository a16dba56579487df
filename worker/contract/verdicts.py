"""What a person decides about a product."""

from enum import StrEnum


class Decision(StrEnum):
    """Whose category is right. Only the first three come with one."""

    SELLER = "seller"
    MODEL = "model"
    #: neither's
    OTHER = "other"
    #: this reviewer leaves it to somebody else
    SKIPPED = "skipped"
    #: handed to a reviewer, who has not decided yet
    OPEN = "open"
