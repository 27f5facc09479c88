"""Programs to be carried away: files that need nothing of ours, so that whoever checks us need not trust us."""
