"""Controllers of your own, on the frame that orlop's are made of: `from orlop import controller`.

docs/writing-controllers.md is the guide, examples/controller a whole one.
"""

from orlop.api.custom import Object as Object, Struct as Struct, kind as kind
from orlop.client import copy as copy
from orlop.control import (
    Builder as Builder,
    Claims as Claims,
    Controller as Controller,
    Key as Key,
    Manager as Manager,
    Result as Result,
    controller_of as controller_of,
    controller_reference as controller_reference,
    is_controlled_by as is_controlled_by,
    key_of as key_of,
)
from orlop.control.running import run as run
