"""What is measured: whether backends compute the same, how fast and in how much memory a model runs."""
