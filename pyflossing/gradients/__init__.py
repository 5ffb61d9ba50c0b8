"""Gradients of both losses: by plain autograd, and by reverse passes that are written out."""
