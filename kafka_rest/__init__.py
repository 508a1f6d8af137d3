"""Kafka REST Proxy: HTTP in, Kafka out."""

__version__ = "1.0.0"
