"""Our own ``ray`` and ``ray.serve``: what applications import, without a Ray cluster.

`install` makes the names importable; see install.py.
"""
