"""python -m producer is shelver-producer."""

from producer.cli import main

main()
