"""Environments on the target: made of the wheels of a bundle, beside the builds of a root."""
