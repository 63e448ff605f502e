"""Whole films: `analyze` (a film -> a table, one row a shot), `analyze_many`, and `report` and exports of the table."""

from .analysis import DETECTORS, analyze, load, save
from .many import analyze_many

__all__ = ["DETECTORS", "analyze", "analyze_many", "load", "save"]
