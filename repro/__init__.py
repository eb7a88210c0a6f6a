"""From a recipe to a judged number: data, train, evaluate, compare, report.

In: a recipe (one TOML file) and a data set. Out: a run folder whose JSON files hold every fact of the run,
a verdict against the published table, and a report drawn from those files alone. The machine itself is the
business of `doctor`, which this package never imports except at its two doors (`tasks.py`, `__main__`).
"""
