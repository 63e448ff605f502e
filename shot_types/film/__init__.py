"""Whole films: `analyze` (a film -> a table, one row a shot), `analyze_many`, and `report` and exports of the table."""

from .analysis import analyze
from .cuts import DETECTORS
from .many import analyze_many
from .table import load, save

__all__ = ["DETECTORS", "analyze", "analyze_many", "load", "save"]
