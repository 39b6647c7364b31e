"""The drainer: one cursor a pipeline over the journal; takes, sends, settles."""

from edge.drainer.erasing import Erasable, Eraser, EraserParts
from edge.drainer.housekeeping import Housekeeping
from edge.drainer.inquiring import Inquirer
from edge.drainer.lane import PipelineDrainer
from edge.drainer.replaying import Replayer
from edge.drainer.sending import Sender
from edge.drainer.vendor_erasing import VendorEraser

__all__ = [
    "Erasable",
    "Eraser",
    "EraserParts",
    "Housekeeping",
    "Inquirer",
    "PipelineDrainer",
    "Replayer",
    "Sender",
    "VendorEraser",
]
