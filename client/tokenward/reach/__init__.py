"""How an environment reaches an index: the certificates and proxies that it names, and what accepts them."""
