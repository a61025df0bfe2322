"""From a framework's model back to a spec: what a backend reads, as blocks with few parameters (docs/import.md).

A backend says what the model computes through a `Scribe`; what comes out is a text, and where each weight came from.
"""

from archdsl.lifting.bring import Held, Imported, Model, NoEquals, bring
from archdsl.lifting.net import NoEqual, Weight
from archdsl.lifting.scribe import Scribe
from archdsl.lifting.source import made_by
from archdsl.lifting.spec import Lifted, written

__all__ = [
    "Held",
    "Imported",
    "Lifted",
    "Model",
    "NoEqual",
    "NoEquals",
    "Scribe",
    "Weight",
    "bring",
    "made_by",
    "written",
]
