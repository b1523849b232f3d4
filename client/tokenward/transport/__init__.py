"""The way to an agent: its address, the connection, requests and answers, its start on demand."""
