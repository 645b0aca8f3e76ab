"""The client room: producer, consumer and admin client from one sans-IO core."""
