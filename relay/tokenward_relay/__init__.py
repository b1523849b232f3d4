"""The relay: what a run uses to reach its indexes without ever holding a credential."""
