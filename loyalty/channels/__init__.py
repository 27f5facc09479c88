"""Channels: orders and members come in from shops and tills, one module or folder a channel."""
