"""First-party event collection beside a shop's web server, with server-side delivery."""

__version__ = "0.1.0"
