"""Calls functions of the Julia reference by name.

Imports nothing: the juliacall worker has to load Julia before numpy.
"""
