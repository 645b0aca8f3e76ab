"""A world in one process under one seed: virtual time, a simulated network, a simulated disk."""
