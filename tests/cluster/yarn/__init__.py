"""A YARN of real daemons on this machine, one process and one loopback address per node."""
