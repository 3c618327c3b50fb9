"""The shell script that makes a bundle install itself on a host that has nothing else.

One readable template, ``header.sh.in``, and what is filled into it: the tables of what the bundle
holds. It becomes the start of a bundle file, and ``install.sh`` in a folder. Its bytes depend on
the members alone.
"""
