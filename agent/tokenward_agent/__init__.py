"""The resident agent: it holds the secrets and hands them out, and opens no network connection."""
