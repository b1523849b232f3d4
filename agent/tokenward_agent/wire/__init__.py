"""The agent's end of the wire: its address, admission of peers, requests in and answers out."""
