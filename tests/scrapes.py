"""What a process tells Prometheus."""

import urllib.request
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families


@dataclass
class Scrape:
    """One answer of /metrics."""

    text: str
    samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for family in text_string_to_metric_families(self.text):
            for each in family.samples:
                self.samples[each.name, frozenset(each.labels.items())] = each.value

    def __call__(self, name: str, **labels: object) -> float | None:
        """The value of a series, None where there is none."""
        return self.samples.get((name, frozenset((label, str(value)) for label, value in labels.items())))

    def total(self, name: str, **labels: object) -> float:
        """The sum over all series with these labels."""
        wanted = {(label, str(value)) for label, value in labels.items()}
        return sum(value for (found, having), value in self.samples.items() if found == name and wanted <= having)


def scrape(port: int) -> Scrape:
    """Ask the process that serves its metrics at this port."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        return Scrape(answer.read().decode())
