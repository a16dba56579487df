"""The audit of dependencies: what was not asked about is never taken for sound."""

from typing import Any

import pytest

from tests.audit import UNKNOWN, VULNERABLE, verdict

SOUND: dict[str, Any] = {"name": "celery", "version": "5.7.0", "vulns": []}
SKIPPED = {"name": "kombu", "skip_reason": "Dependency not found on PyPI and could not be audited: kombu (5.7.0)"}
HOLED = {
    "name": "pillow",
    "version": "12.0.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["12.0.1"], "aliases": [], "description": "long"}],
}


@pytest.mark.parametrize(
    ("found", "code", "told"),
    [
        ([SOUND, SOUND], 0, "2 packages have no known vulnerability"),
        ([SOUND, HOLED], VULNERABLE, "pillow 12.0.0 has PYSEC-1, fixed in 12.0.1"),
        ([SKIPPED, HOLED], VULNERABLE, "warning: the advisories could not be asked about kombu: NOT AUDITED"),
        ([SOUND, SKIPPED], UNKNOWN, "warning: the advisories could not be asked about kombu: NOT AUDITED"),
        ([SKIPPED] * 6, UNKNOWN, "kombu, kombu, kombu, kombu, kombu and others"),
        ([], UNKNOWN, "warning: the advisories could not be asked: NOT AUDITED"),
    ],
)
def test_only_what_was_asked_about_is_sound(found: list[dict[str, Any]], code: int, told: str) -> None:
    """A vulnerability fails, whatever else is unknown; what pip-audit skips, or its failure, is no success."""
    exit_code, lines = verdict(found)
    assert exit_code == code
    assert told in "\n".join(lines)
