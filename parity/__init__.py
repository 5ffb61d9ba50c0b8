"""Comparison of the Python port with live Julia."""
