"""Generated programs as texts."""

import ast

__all__ = ["without_default"]


def without_default(text: str, argument: str) -> str:
    """A program but for what its header says and the default of an argument of its model, if it takes that."""
    tree = ast.parse(text)
    model = [node for node in tree.body if isinstance(node, ast.ClassDef)][-1]
    start = next(node for node in model.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    names = [arg.arg for arg in start.args.args]
    if argument in names:
        start.args.defaults[names.index(argument) - len(names)] = ast.Constant(None)
    return ast.dump(ast.Module(tree.body[1:], []))
