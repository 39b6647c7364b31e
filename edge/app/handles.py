"""File handles: as many as the machine lets us have, and the last of them not for strangers."""

import resource

from edge.collector import MAX_CONNECTIONS

# What the collector holds open for itself: 23 at rest, twice as many at most while one
# segment ends and the next begins, somebody asks it to, and keys are read.
RESERVED = 48


def connections_allowed() -> int:
    """Raise this process's limit of open files as far as it may be of use; give how many may be connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + RESERVED
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    most = wanted if soft == resource.RLIM_INFINITY else min(soft, wanted)
    return max(1, most - RESERVED)
