"""Bundles on small media: outputs of one file or of numbered volumes, splitting and joining."""
