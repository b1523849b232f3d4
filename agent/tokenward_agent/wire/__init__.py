"""The agent's end of the wire: the address, who is let in, frames in and answers out."""
