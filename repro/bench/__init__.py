"""Benchmarks: ratios against a named baseline, both measured in turn. Nothing here decides a test."""
