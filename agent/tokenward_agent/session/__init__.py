"""The login session: its events, and the locks that follow from them."""
