"""Version labels of a model and what may be done to them: canary is tried out, stable is trusted, previous was stable.

Other labels are a person's own, and stay. Every version with a label is served, so previous stays loaded and the way
back to it takes no time.
"""

from collections.abc import Callable

from worker.contract.errors import ShelverError

CANARY, STABLE, PREVIOUS = "canary", "stable", "previous"
#: label -> version of one model
Labels = dict[str, int]
Change = Callable[[Labels], Labels]


class LabelError(ShelverError):
    """The labels cannot be changed so; they stay as they are."""


def first(label: str, version: int) -> Change:
    """Return the change that puts a label on a version that is being published; LabelError when another has it."""

    def change(labels: Labels) -> Labels:
        if labels.get(label, version) != version:
            how = "without --label" if label == CANARY else f"with --label {CANARY}"
            raise LabelError(
                f"{label} is version {labels[label]} already: publish {how}, then shelver-trainer "
                f"{'canary' if label == CANARY else 'promote'} MODELS VERSION moves it, once the new version is loaded"
            )
        return {**labels, label: version}

    return change


def canary(version: int) -> Change:
    """Return the change that puts canary on a version; LabelError when that is stable."""

    def change(labels: Labels) -> Labels:
        if labels.get(STABLE) == version:
            raise LabelError(f"version {version} is stable, and is not tried out beside itself: name another version")
        return {**labels, CANARY: version}

    return change


def without_canary(labels: Labels) -> Labels:
    """Take canary away; LabelError when no label would be left, for then nothing would be served."""
    left = _left(labels)
    if not left:
        raise LabelError("but for canary no version has a label, and none would be served: promote one first")
    return left


def stable(version: int) -> Change:
    """Return the change that makes a version stable: what was stable is previous then, and canary is no more of it."""

    def change(labels: Labels) -> Labels:
        kept = _left(labels) if labels.get(CANARY) == version else labels
        was = labels.get(STABLE, version)
        return {**kept, STABLE: version} | ({PREVIOUS: was} if was != version else {})

    return change


def candidate(labels: Labels, models: object) -> int:
    """Return the version that is canary; LabelError when none is. `models` is the folder, for the remedy."""
    if CANARY not in labels:
        raise LabelError(
            f"no version is canary ({told(labels)}): name the version to promote, or try one out with shelver-trainer "
            f"canary {models} VERSION"
        )
    return labels[CANARY]


def former(labels: Labels, models: object, version: int | None = None) -> int:
    """Return the version that is previous, or `version` when it is that, or stable already; else raise LabelError.

    Unless it is named, it must be older than stable: whoever goes back a second time, unawares, would make the newer
    version stable again that somebody has just left.
    """
    back = version or labels.get(PREVIOUS)
    if back is None or back not in (labels.get(STABLE), labels.get(PREVIOUS)):
        problem = f"version {version} is not previous" if version else "no version is previous"
        promote = f"shelver-trainer promote {models} VERSION"
        raise LabelError(f"{problem} ({told(labels)}): {promote} makes any version stable")
    if version is None and back > labels.get(STABLE, back):
        rollback = f"shelver-trainer rollback {models}"
        raise LabelError(
            f"stable is older than previous already ({told(labels)}): {rollback} {labels[STABLE]} waits until the "
            f"servers have it so, {rollback} {back} makes version {back} stable again"
        )
    return back


def told(labels: Labels) -> str:
    """Return the labels for a person."""
    return ", ".join(f"{label} is version {version}" for label, version in sorted(labels.items())) or "none has a label"


def _left(labels: Labels) -> Labels:
    return {label: version for label, version in labels.items() if label != CANARY}
