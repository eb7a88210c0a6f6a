"""Logs of failed builds, installations, runs and containers: read them, find the cause, say it. See `explain.py`."""
