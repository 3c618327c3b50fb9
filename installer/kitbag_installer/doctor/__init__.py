"""The deep check of installed builds: what works, what does not, and what cures it."""
