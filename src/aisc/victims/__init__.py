"""Face verifiers under attack: what they are made of, how they are packed, calibrated, imported and asked."""
