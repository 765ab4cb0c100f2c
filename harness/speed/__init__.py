"""How fast embedders are beside each other: token budgets, runtimes, and what a gain is made of."""

from harness.speed.attribution import Attribution, Factor, attribute
from harness.speed.budgets import BudgetPoint, Sweep, sweep
from harness.speed.contenders import Contender, measure_ceilings, side_by_side

__all__ = [
    "Attribution",
    "BudgetPoint",
    "Contender",
    "Factor",
    "Sweep",
    "attribute",
    "measure_ceilings",
    "side_by_side",
    "sweep",
]
