"""Evaluation: from a checkpoint to what the official nuScenes evaluator says.

In: weights and a data set. Out: a results file in the benchmark's format, and its metrics.
"""
