"""Pictures to look at: boxes in six cameras and from above, where attention looks, boxes in single images, films.

In: values (pixels, calibrations, boxes, captured attention). Out: figures and files. Nothing here trains or scores.
"""
