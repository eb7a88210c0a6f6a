"""Benchmarks: ratios against a named baseline, both measured in one process. Nothing here decides a test."""
