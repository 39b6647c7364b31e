"""The configuration file, read once into plain values.

`values` is what is configured, `loading` finds and reads the file, `sections` reads each of its sections.
"""

from edge.config.loading import CONFIG_FILE, Survey, find_config, load_config, parse_config, survey_config
from edge.config.sections import ANSWERS, GPC_EFFECTS
from edge.config.values import (
    AlertsConfig,
    CollectorConfig,
    Config,
    ConsentConfig,
    CookieConfig,
    DrainerConfig,
    IdentityConfig,
    OpsConfig,
    OrderId,
    SiteConfig,
    SpoolConfig,
    WriteKeyConfig,
)

__all__ = [
    "ANSWERS",
    "CONFIG_FILE",
    "GPC_EFFECTS",
    "AlertsConfig",
    "CollectorConfig",
    "Config",
    "ConsentConfig",
    "CookieConfig",
    "DrainerConfig",
    "IdentityConfig",
    "OpsConfig",
    "OrderId",
    "SiteConfig",
    "SpoolConfig",
    "Survey",
    "WriteKeyConfig",
    "find_config",
    "load_config",
    "parse_config",
    "survey_config",
]
