"""python -m tests.audit: whether what constraints.txt pins has known vulnerabilities, by PyPI's advisories.

Where they cannot be asked nothing is known, which is not the same as nothing found: it is told, and no success.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

PINS = Path(__file__).parent.parent / "constraints.txt"
PIP_AUDIT = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--progress-spinner", "off", "-f", "json"]
VULNERABLE, UNKNOWN = 1, 75

Dependency = dict[str, Any]


def main(
    lenient: Annotated[bool, typer.Option(help="exit with 0 where advisories cannot be asked")] = False,
) -> None:
    """Exit with 0 when every pin was asked about and none is vulnerable, with 1 when one is, else with 75."""
    first = PINS.read_text().splitlines()[0]
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder) / "requirements.txt"
        probe.write_text(f"{first}\n")
        found = _ask(probe)  # nobody is asked about two hundred packages who does not answer about one
    code, lines = verdict(found if not found or unanswered(found) else _ask(PINS))
    typer.echo("\n".join(lines), err=code != 0)
    raise typer.Exit(0 if lenient and code == UNKNOWN else code)


def verdict(found: list[Dependency]) -> tuple[int, list[str]]:
    """Return the exit code for what pip-audit says of dependencies, nothing if it failed, and lines for a person."""
    holes = [_line(each, one) for each in found for one in each.get("vulns", [])]
    skipped = unanswered(found)
    if found and not skipped:
        return (VULNERABLE, holes) if holes else (0, [f"{len(found)} packages have no known vulnerability"])
    about = f" about {', '.join(skipped[:5])}{' and others' if skipped[5:] else ''}" if skipped else ""
    warning = f"warning: the advisories could not be asked{about}: NOT AUDITED"
    return VULNERABLE if holes else UNKNOWN, [*holes, warning]


def unanswered(found: list[Dependency]) -> list[str]:
    """Return the names of those that pip-audit had to skip."""
    return [each["name"] for each in found if "skip_reason" in each]


def _line(dependency: Dependency, vulnerability: Dependency) -> str:
    fixed = ", ".join(vulnerability["fix_versions"]) or "no version"
    return f"{dependency['name']} {dependency['version']} has {vulnerability['id']}, fixed in {fixed}"


def _ask(requirements: Path) -> list[Dependency]:
    made = subprocess.run([*PIP_AUDIT, "-r", str(requirements)], capture_output=True, text=True, check=False)
    try:
        return list(json.loads(made.stdout)["dependencies"])
    except (ValueError, LookupError):
        typer.echo(made.stderr.strip().rpartition("\n")[2], err=True)  # what it gave up at
        return []


if __name__ == "__main__":
    typer.run(main)
