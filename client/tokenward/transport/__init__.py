"""The way to an agent: its address, a stream to it, requests and answers, its start on demand."""
