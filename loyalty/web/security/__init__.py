"""Who asks, and what they may do: API keys of channels, staff and member sessions, one-time codes, throttling."""
