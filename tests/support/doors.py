"""An import-linter contract: packages are imported only by their own name."""

import re

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, output


class DoorsContract(Contract):
    """Contract that refuses imports of another room's modules.

    Outside a room ``from roentgate.room import name`` passes and ``from roentgate.room.module import name`` does not.
    mypy checks which names a room offers: a name that its stub does not list is an error there.
    """

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Check every import that leads into another room."""
        entered = [
            f"{detail['importer']}:{detail['line_number']}: {detail['line_contents']}"
            for importer in sorted(graph.modules)
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if _room(imported) and _room(imported) != _room(importer)
            for detail in graph.get_import_details(importer=importer, imported=imported)
            if re.match(rf"(from|import) {re.escape(_room(imported))}\.", detail["line_contents"])
        ]
        return ContractCheck(kept=not entered, metadata={"entered": entered})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print the imports that break the contract."""
        for line in check.metadata["entered"]:
            output.print_error(f"{line} goes past the door of that room")


def _room(module: str) -> str:
    """Return the room of a module, or "" if it lies in none."""
    parts = module.split(".")
    return ".".join(parts[:2]) if len(parts) > 2 else ""
