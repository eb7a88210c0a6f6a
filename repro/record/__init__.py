"""The run on record: what a finished run leaves for somebody who was not there, and how that person checks it.

`schema.py` says what a record holds; reading it needs neither torch nor a data set.
"""
