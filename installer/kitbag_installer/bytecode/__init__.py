"""Compiled files: which there are to be, whether they are stale, making and keeping them."""
