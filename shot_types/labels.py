"""The five shot scales: their order, names and definitions. Nothing else in the package names a class.

The taxonomy is that of MovieShots (Rao et al., "A Unified Framework for Shot Type Classification Based on
Subject Centric Lens", ECCV 2020, arXiv 2008.03548).
"""

LABELS = ("CS", "ECS", "FS", "LS", "MS")
"""Index order of every array of probabilities: alphabetical, as sorted class folders give it."""

SCALE = ("ECS", "CS", "MS", "FS", "LS")
"""From near to far: the order in which people read the classes and in which distances are counted."""

NAMES = {
    "ECS": "extreme close-up shot",
    "CS": "close-up shot",
    "MS": "medium shot",
    "FS": "full shot",
    "LS": "long shot",
}

DEFINITIONS = {
    "ECS": "part of a face, or a small detail, fills the frame",
    "CS": "a head, a head and the top of the shoulders, a hand, or a small object",
    "MS": "a person cut off between mid-chest and knees",
    "FS": "the whole body, at about 40 % of the frame height or more",
    "LS": "persons smaller than that, landscapes, buildings, crowds",
}

STEP = {label: SCALE.index(label) for label in LABELS}
"""Position on the scale: 0 (ECS) to 4 (LS); the difference of two is a distance in steps."""

COLORS = {"ECS": "#332288", "CS": "#88CCEE", "MS": "#44AA99", "FS": "#DDCC77", "LS": "#CC6677"}
"""One colour a class, from Paul Tol's "muted" scheme (https://personal.sron.nl/~pault/), which readers with
any common form of colour blindness tell apart."""

GREYS = {"title": "#BBBBBB", "empty": "#555555", "transition": "#888888"}
"""One grey for each kind of span of a film that is no shot, the same in every picture."""
