"""`compare-upstream`: the authors' model and ours, on the same weights and frames, layer by layer.

The authors' code runs in a child process, in its own environment of Python 3.8; arrays travel both ways as .npz.
"""

ABSENT = "there"  # stands where a tolerance would, of a layer that one of the two models never came by
