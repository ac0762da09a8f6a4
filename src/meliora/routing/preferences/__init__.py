"""What each user likes, learned from their feedback, by task; and the small offset that it adds to a routing policy.

    words         kinds of feedback, names of tasks, lengths, times of day
    interactions  one answer and what became of it; the protocol of what keeps them
    belief        what ratings say about a few choices: expected rating, confidence, what to try
    profile       models by task, style, habits, next activity, how well ratings are foretold
    model_stats   the documented statistics and score of each model
    offsets       the bounded offsets, and the table of them that gateways read
    refresh       keeps that table current
    tracker       all of it as one object; the documented async class

Refuses to choose for one task by ratings of another, and to call anything preferred without saying how sure it is.
"""

from meliora.routing.preferences.tracker import PreferenceTracker
from meliora.routing.preferences.words import FeedbackType

__all__ = ["FeedbackType", "PreferenceTracker"]
