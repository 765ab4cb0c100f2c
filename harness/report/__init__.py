"""Tables and pages from stored results."""

from harness.report.conventions import suite_properties
from harness.report.escapes import printable
from harness.report.files import (
    new_folder,
    new_run_folder,
    terminal_summary,
    write_step_summary,
    write_tables,
)
from harness.report.html import html_page
from harness.report.maps import maps_picture
from harness.report.page import markdown
from harness.report.plots import roofline_plot, sweep_plot
from harness.report.tables import (
    Row,
    comparison_table,
    gate_table,
    gates_as_table,
    plain_table,
    rows,
    to_csv,
    verdict_line,
)

__all__ = [
    "Row",
    "comparison_table",
    "gate_table",
    "gates_as_table",
    "html_page",
    "maps_picture",
    "markdown",
    "new_folder",
    "new_run_folder",
    "plain_table",
    "printable",
    "roofline_plot",
    "rows",
    "suite_properties",
    "sweep_plot",
    "terminal_summary",
    "to_csv",
    "verdict_line",
    "write_step_summary",
    "write_tables",
]
