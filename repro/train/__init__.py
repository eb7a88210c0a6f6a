"""Training: from a model, its losses and a stream of batches to a checkpoint that resumes.

In: a model, `loss_of(batch)`, batches. Out: a state file, a CSV of losses, TensorBoard curves. Nothing here knows
which model it trains or where batches come from.
"""
