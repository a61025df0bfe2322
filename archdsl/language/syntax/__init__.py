"""From text to a tree and back: tokens, grammar, tree, mistakes, the canonical layout."""
