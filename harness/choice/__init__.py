"""Several candidates against one baseline: the cheapest that passes is named."""

from harness.choice.naming import CANDIDATES, Judged, choice_of
from harness.choice.records import Choice, Rival, Standing, is_choice, read_choice, write_choice
from harness.choice.selection import Selection, Step
from harness.choice.spec import Candidate, ChoiceSpec, Cost, read_choice_spec
from harness.choice.stored import comparisons_of, missing_tables, verify
from harness.choice.tables import screen, write_page

__all__ = [
    "CANDIDATES",
    "Candidate",
    "Choice",
    "ChoiceSpec",
    "Cost",
    "Judged",
    "Rival",
    "Selection",
    "Standing",
    "Step",
    "choice_of",
    "comparisons_of",
    "is_choice",
    "missing_tables",
    "read_choice",
    "read_choice_spec",
    "screen",
    "verify",
    "write_choice",
    "write_page",
]
