"""What the user's own rules say about handing a credential out."""
