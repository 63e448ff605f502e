"""How close is the camera? Shot scale of film frames: ECS, CS, MS, FS or LS."""

from .cards import WeightsError
from .classifier import Classifier, Prediction, load_classifier
from .labels import LABELS, SCALE
from .pictures import FrameError

__all__ = ["LABELS", "SCALE", "Classifier", "FrameError", "Prediction", "WeightsError", "load_classifier"]
