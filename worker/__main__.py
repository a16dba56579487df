"""python -m worker is shelver-worker."""

from worker.cli import main

main()
