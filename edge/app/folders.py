"""Where spool and ledger lie in the data directory; known to who serves and to who only looks."""

from pathlib import Path

from edge.config import Config
from edge.spool.segment import SpoolSettings


def spool_settings(config: Config) -> SpoolSettings:
    """Give the spool's settings from the configuration."""
    return SpoolSettings(
        directory=config.data_dir / "spool",
        max_bytes=config.spool.max_bytes,
        free_bytes=config.spool.free_bytes,
        segment_bytes=config.spool.segment_bytes,
        segment_age_s=config.spool.segment_age_s,
    )


def ledger_path(config: Config) -> Path:
    """Give the ledger's file."""
    return config.data_dir / "ledger.db"
