"""Tables to numbers, in pandas; frames.py is the one door to SQL."""
