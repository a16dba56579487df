"""python -m trainer is shelver-trainer."""

from trainer.cli import main

main()
