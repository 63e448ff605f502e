"""Whole films: `analysis` (a film -> its shots), `many` (a folder of films), `report` (pictures and exports)."""
