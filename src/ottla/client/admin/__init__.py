"""The admin client's public values: what its calls are given and what they answer."""
