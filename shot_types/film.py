"""A film -> a table, one row a shot: the way into the package `shot_film`, whose `report` draws and exports."""

from shot_film.analysis import DETECTORS, analyze, load, save
from shot_film.many import analyze_many

__all__ = ["DETECTORS", "analyze", "analyze_many", "load", "save"]
