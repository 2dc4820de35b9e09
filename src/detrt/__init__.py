"""detrt takes an RT-DETR-family detector from its checkpoint to the fastest engine that is still right, and runs it.

>>> from detrt import Detections
>>> Detections.empty().boxes.shape
(0, 4)
"""

from detrt.contract import ModelContract
from detrt.detections import Detections
from detrt.detector import Detector
from detrt.errors import DetrtError

__version__ = "0.1.0"

__all__ = ["Detections", "Detector", "DetrtError", "ModelContract", "__version__"]
