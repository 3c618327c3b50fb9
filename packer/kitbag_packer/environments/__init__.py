"""Environments that travel with their interpreter: what is in them, chosen for each target."""
