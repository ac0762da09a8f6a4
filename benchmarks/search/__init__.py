"""Searches on judged collections: how good, how fast, and what a repair recovers."""
