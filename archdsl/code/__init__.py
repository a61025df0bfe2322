"""From the graph to source that a person would sign, and what a backend is. No word of a framework stands here."""
