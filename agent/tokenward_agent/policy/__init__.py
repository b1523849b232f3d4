"""The user's policy: which requests get a credential."""
