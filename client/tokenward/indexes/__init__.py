"""Requests to indexes over the network: to revoke, check and mint. Only commands make them."""
