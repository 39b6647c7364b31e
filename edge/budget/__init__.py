"""How fast one vendor account may be asked, and whose turn it is; pure: the time comes with every call."""

from edge.budget.account import SHARE, Budget
from edge.budget.quota import Quota, read_quota
from edge.budget.turns import Lane, Turn

__all__ = ["SHARE", "Budget", "Lane", "Quota", "Turn", "read_quota"]
