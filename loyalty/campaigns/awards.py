"""Awards: the one place where a purchase, a claim or an earn through the API becomes points and progress.

An award is an earn in the ledger and, on the member's ladders, activity of the metric named as its unit; a tier is
raised at once. Taking back is the same the other way: a reversal of the pinned earn, and activity taken off the day it
was recorded on. Tiers are never lowered here: their review does that, with its grace period.
"""
