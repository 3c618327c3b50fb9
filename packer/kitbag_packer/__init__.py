"""The connected side: turns archives and installed interpreters into a bundle."""
