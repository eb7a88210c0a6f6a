"""The data path of COCO: from a folder with annotations/, train2017/ and val2017/ to batches of tensors.

In: a data root. Out: `ImageBatch`es and their `ImageTruth`s. Nothing here knows a model.
"""

from repro.data.coco.annotations import CocoImage, CocoIndex, open_annotations
from repro.data.coco.dataset import CocoSplit

__all__ = ["CocoImage", "CocoIndex", "CocoSplit", "open_annotations"]
