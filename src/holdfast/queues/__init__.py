"""Durable queues: adapters behind `contracts.queue`, disposable state."""
