"""Dockerfiles, read as far as the tests ask."""

import json
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("deploy/images")


@dataclass(frozen=True)
class Dockerfile:
    """Its instructions in order: each its name and the rest of it, on one line."""

    instructions: tuple[tuple[str, str], ...]

    def all(self, name: str) -> list[str]:
        """Return every instruction of this name."""
        return [rest for each, rest in self.instructions if each == name]

    def final(self, name: str) -> list[str]:
        """Return those of the last stage, of which the image is."""
        start = max(index for index, (each, _) in enumerate(self.instructions) if each == "FROM")
        return [rest for each, rest in self.instructions[start:] if each == name]

    def last(self, name: str) -> str:
        """Return the one that counts in the image; IndexError without any."""
        return self.final(name)[-1]

    @property
    def arguments(self) -> dict[str, str]:
        """Build arguments with their defaults."""
        return dict(rest.split("=", 1) for rest in self.all("ARG"))

    @property
    def healthcheck(self) -> list[str] | None:
        """The words of its command, if there is one."""
        _, found, words = self.last("HEALTHCHECK").partition("CMD ")
        return list(json.loads(words)) if found else None


def read(name: str) -> Dockerfile:
    """Read deploy/images/NAME."""
    lines = [line for line in (FOLDER / name).read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    split = (line.strip().partition(" ") for line in joined if line.strip())
    return Dockerfile(tuple((each, rest.strip()) for each, _, rest in split))
