"""The table of settings in docs/operations.md: `python -m tests.deploy.settings_table` writes it."""

from pathlib import Path

from typer.testing import CliRunner

from worker.cli import app

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
BEGUN = "<!-- settings: written by python -m tests.deploy.settings_table -->\n"
ENDED = "<!-- end of settings -->"


def written() -> str:
    """Return the page as it would be written."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGUN)
    table = CliRunner().invoke(app, ["settings", "--markdown"]).output
    return f"{before}{BEGUN}{table}{ENDED}{rest.split(ENDED)[1]}"


if __name__ == "__main__":
    PAGE.write_text(written(), encoding="utf-8")
