"""From a framework's model back to a spec (docs/import.md). No word of a framework stands here: a backend reads the
model and says what it computes through a `Scribe`; what comes out is a text, and where each weight came from.
"""

from archdsl.lift.bring import Held, Imported, Model, NoEquals, bring
from archdsl.lift.net import NoEqual, Weight
from archdsl.lift.scribe import Scribe
from archdsl.lift.source import made_by
from archdsl.lift.spec import Lifted, written

__all__ = ["Held", "Imported", "Lifted", "Model", "NoEqual", "NoEquals", "Scribe", "Weight", "bring", "made_by", "written"]
