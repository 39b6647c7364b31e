"""What was decided and what became of it: identity, journal, cursors, waiting, held, dead."""

from edge.ledger.database import Database, LedgerSettings
from edge.ledger.delivering import DeliveryLedger
from edge.ledger.erasing import ErasureLedger
from edge.ledger.looking import LedgerView
from edge.ledger.receipts import ReceiptLedger
from edge.ledger.resolving import ResolverLedger
from edge.ledger.trimming import TrimLedger
from edge.ledger.undoing import UndoLedger
from edge.ledger.vendor_erasing import VendorErasureLedger

__all__ = [
    "Database",
    "DeliveryLedger",
    "ErasureLedger",
    "LedgerSettings",
    "LedgerView",
    "ReceiptLedger",
    "ResolverLedger",
    "TrimLedger",
    "UndoLedger",
    "VendorErasureLedger",
]
