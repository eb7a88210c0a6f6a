"""Inference on one frame or one image of the user's own: `menu.py` reads the words, `calibration.py` the folder.

In: six photos and a calibration, a sample token, or one image. Out: boxes as JSON and a drawing.
"""
