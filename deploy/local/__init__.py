"""The whole line on one machine: `make demo`, `make up`, `make down`."""
