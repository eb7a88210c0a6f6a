"""Benchmarks: what a part costs beside another part of the same process. Nothing here is timed in tests."""
