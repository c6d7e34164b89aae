"""The web server of the dashboard's process."""
