"""What can be written, and how it is read: texts, mistakes, expressions, syntax, ops, recipes, the library.

Nothing here knows a graph or a framework.
"""
