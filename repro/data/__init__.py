"""The data path: from a folder of nuScenes (real, mini or synthetic) to tensors.

In: a data root. Out: `Frame`s and `Clip`s. Nothing here knows a model; the models know nothing of this.
"""

from repro.data.index import NuScenesIndex, Subset, check_images, open_nuscenes
from repro.data.records import DataError, FrameRecord

__all__ = ["DataError", "FrameRecord", "NuScenesIndex", "Subset", "check_images", "open_nuscenes"]
