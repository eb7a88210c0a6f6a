"""Synthetic nuScenes: cuboids on a curved street, in the data set's own format, so that everything runs without it.

In: a seed and a size. Out: a folder that the official devkit reads with no patch.
"""

from repro.data.synth.write import options_of, write_synth

__all__ = ["options_of", "write_synth"]
