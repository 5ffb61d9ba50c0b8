"""Whole runs of anybody's settings in both languages, side by side."""
