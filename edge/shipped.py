"""Files that come with the program: the script, the shipped pipelines, configuration and nginx examples."""

from pathlib import Path

_INSTALLED = Path(__file__).parent / "assets"
_CHECKOUT = Path(__file__).parent.parent


def shipped(relative: str) -> Path:
    """Give a shipped file or folder, e.g. "static/datafly.js": from the installed package, else the checkout.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    for root in (_INSTALLED, _CHECKOUT):
        if (root / relative).exists():
            return root / relative
    raise FileNotFoundError(f"{relative} is missing from this installation; install the package again")
