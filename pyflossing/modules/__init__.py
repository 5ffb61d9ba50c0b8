"""Lyapunov spectra and flossing of anybody's own step function or torch module; docs/modules.md tells how."""
