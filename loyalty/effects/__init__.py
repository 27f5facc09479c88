"""Effects: what came of a campaign that was sent, against members who were not sent it."""
