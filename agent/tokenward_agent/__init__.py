"""The resident agent: it holds secrets, hands them out, and opens no network connection."""
