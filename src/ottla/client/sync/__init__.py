"""The client as ``confluent_kafka`` has it: blocking calls, an engine on a thread behind them."""
