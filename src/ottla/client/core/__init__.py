"""The client's cores: they decide what to do; time, randomness and IO are arguments."""
