"""What the demo plays on each track: who takes part, what they send, what the experts say."""
