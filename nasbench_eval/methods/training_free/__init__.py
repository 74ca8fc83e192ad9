"""Scores of untrained networks, and the search that takes the best of random cells by one of them."""
