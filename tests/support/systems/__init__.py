"""What belongs to a system: its users, buses, keyrings, displays, service managers and hosts."""
