"""What a spec means: one graph with its names, shapes, contracts and price."""
