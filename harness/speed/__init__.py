"""How fast embedders are beside each other: token budgets, runtimes, and what a gain is made of."""

from harness.speed.attribution import attribute
from harness.speed.budgets import BudgetPoint, Sweep, sweep
from harness.speed.contenders import Contender, measure_ceilings, side_by_side

__all__ = [
    "BudgetPoint",
    "Contender",
    "Sweep",
    "attribute",
    "measure_ceilings",
    "side_by_side",
    "sweep",
]
