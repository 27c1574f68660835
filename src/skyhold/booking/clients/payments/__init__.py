"""Payment providers: the port, and the sandbox that ships with the service."""
