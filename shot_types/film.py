"""A film -> a table, one row a shot. The work is in the package `shot_film`; this is the way in.

    from shot_types import film, load_classifier
    table = film.analyze("film.mp4", load_classifier(), out="analysis")

`analyze_many` does a folder of films; `load` reads a table back, with labels that a person corrected; pictures and
exports are in `shot_film.report`.
"""

from shot_film.analysis import DETECTORS, analyze, load, save
from shot_film.many import analyze_many

__all__ = ["DETECTORS", "analyze", "analyze_many", "load", "save"]
