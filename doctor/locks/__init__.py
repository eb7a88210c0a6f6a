"""Pinned environments: reading and writing a stack's lock, making the environment, judging what is installed by it.

Standard library only, as the rest of the doctor. uv writes the locks, pip and the bootstrap install them.
"""
