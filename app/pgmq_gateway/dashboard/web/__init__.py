"""The dashboard's web server: sign-in, the gate, and NiceGUI."""
