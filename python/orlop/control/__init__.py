"""The frame of every controller: `Controller.reconcile(key)`, run by a `Manager`."""

from orlop.control.builder import Builder as Builder
from orlop.control.controller import (
    Context as Context,
    Controller as Controller,
    Key as Key,
    Result as Result,
    key_of as key_of,
)
from orlop.control.manager import Manager as Manager
from orlop.control.owners import (
    Claims as Claims,
    controller_of as controller_of,
    controller_reference as controller_reference,
    is_controlled_by as is_controlled_by,
)
