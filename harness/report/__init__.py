"""Tables and pages from stored results."""
