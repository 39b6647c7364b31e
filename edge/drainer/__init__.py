"""The drainer: one cursor a pipeline over the journal; takes, sends, settles."""

from edge.drainer.housekeeping import Housekeeping
from edge.drainer.lane import PipelineDrainer
from edge.drainer.sending import Sender

__all__ = ["Housekeeping", "PipelineDrainer", "Sender"]
