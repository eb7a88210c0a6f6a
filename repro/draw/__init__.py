"""Drawings of a finished run as typed: `menu.py` reads the words, the other files turn the run's files into views."""
