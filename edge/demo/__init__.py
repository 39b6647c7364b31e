"""The demonstration: a small shop on one origin with the sidecar."""
