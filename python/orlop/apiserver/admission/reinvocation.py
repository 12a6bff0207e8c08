"""Whether what has changed an object is asked again because something else has changed it since.

As k8s.io/apiserver's pkg/admission/reinvocation.go and the contexts of its mutating plug-ins: the whole chain runs a
second time, at most once, and in it only those are asked again who asked for that by `reinvocationPolicy: IfNeeded`
and after whose answer the object was changed.
"""

from orlop.apiserver.admission.shown import Shown


class Reinvocation:
    """Of one write in one plug-in that asks others."""

    def __init__(self) -> None:
        self.again = False
        """It is the second time."""
        self.changed = False
        """Somebody changed the object: a second time is needed."""
        self._asked: set[str] = set()
        """Who would like to be asked again."""
        self._due: set[str] = set()
        self._left: bytes | None = None
        """The object as the plug-in left it."""

    def begin(self, shown: Shown) -> None:
        """The plug-in's turn comes."""
        if self.again and shown.object(shown.version) != self._left:
            self._require()

    def skips(self, uid: str) -> bool:
        """Whether somebody is not asked this time."""
        return self.again and uid not in self._due

    def asked(self, uid: str, *, changed: bool, if_needed: bool) -> None:
        """Somebody has answered."""
        if changed:
            self._require()
            self.changed = True
        if if_needed:
            self._asked.add(uid)

    def end(self, shown: Shown) -> None:
        """The plug-in is done."""
        self._left = shown.object(shown.version)

    def _require(self) -> None:
        self._due |= self._asked
        self._asked.clear()
