"""What indexes are asked over the network: to revoke, to check, to mint. Commands alone come here."""
