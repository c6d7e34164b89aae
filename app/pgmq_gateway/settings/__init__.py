"""Settings: model, sources, file format."""
