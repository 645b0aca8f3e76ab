"""Configuration of the clients: librdkafka's keys, checked as librdkafka checks them."""
