"""Database connections: server selection, connection pool, statement timeouts, checks of the login role."""
