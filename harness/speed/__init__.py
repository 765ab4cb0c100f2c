"""How fast embedders are beside each other: token budgets, runtimes, and what a gain is made of."""

from harness.speed.attribution import Cell, attribute
from harness.speed.budgets import BudgetPoint, Sweep, sweep
from harness.speed.contenders import Contender, measure_ceilings, roofline, side_by_side

__all__ = [
    "BudgetPoint",
    "Cell",
    "Contender",
    "Sweep",
    "attribute",
    "measure_ceilings",
    "roofline",
    "side_by_side",
    "sweep",
]
