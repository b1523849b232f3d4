"""Both vaults as one store: lookup, logins and logouts, opening and locking, providers."""
