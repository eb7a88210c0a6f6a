"""Parity: our maths beside stored outputs of the authors' code, case by case, number by number.

In: a golden set (a folder laid out as ../shared/golden/A). Out: the worst error of each case against its tolerance.
Nothing of a particular set is known here: seed, shapes and configuration are read from the set itself.
"""
