"""The frame of every controller: `Controller.reconcile(key)`, run by a `Manager`."""

from orlop.control.builder import Builder as Builder
from orlop.control.controller import Context as Context
from orlop.control.controller import Controller as Controller
from orlop.control.controller import Key as Key
from orlop.control.controller import Result as Result
from orlop.control.controller import key_of as key_of
from orlop.control.manager import Manager as Manager
from orlop.control.owners import Claims as Claims
from orlop.control.owners import controller_of as controller_of
from orlop.control.owners import controller_reference as controller_reference
from orlop.control.owners import is_controlled_by as is_controlled_by
