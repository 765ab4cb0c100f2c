"""Scripts run by hand that make the bundled data and weights: `python -m scripts.NAME --help`."""
