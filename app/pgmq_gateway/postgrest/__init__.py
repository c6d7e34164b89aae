"""PostgREST's request language: query, headers, body. No SQL."""
