"""Bytecode that travels along: which builds can be compiled here, by what, and the member of it."""
