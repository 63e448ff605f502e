"""How close is the camera? Shot scale of film frames: ECS, CS, MS, FS or LS."""

from .classifier import Classifier, Prediction, WeightsError, load_classifier
from .frames import FrameError
from .labels import LABELS, SCALE

__all__ = ["LABELS", "SCALE", "Classifier", "FrameError", "Prediction", "WeightsError", "load_classifier"]
