"""Which route a path means: in any case, with or without a slash at its end."""

from collections.abc import Iterable
from typing import NamedTuple

from litestar.routes import ASGIRoute, HTTPRoute, WebSocketRoute
from litestar.types.internal_types import PathParameterDefinition


class Match(NamedTuple):
    """A path as its route spells it, and the route's template, None if no route matches."""

    path: str
    template: str | None


class _Node:
    __slots__ = ("literals", "parameter", "template")

    def __init__(self) -> None:
        self.literals: dict[str, tuple[str, _Node]] = {}
        self.parameter: _Node | None = None
        self.template: str | None = None


class RoutePaths:
    """The paths of an application's routes.

    Words of a route match in any case; what stands in a parameter's place, an id, is left as it
    came. A parameter is one segment.
    """

    def __init__(self, routes: Iterable[HTTPRoute | ASGIRoute | WebSocketRoute]) -> None:
        self._root = _Node()
        self._exact: dict[str, Match] = {}
        for route in routes:
            self._add(route)

    def match(self, path: str) -> Match:
        """Return the route that `path` means; an unknown path comes back unchanged."""
        return self._exact.get(path) or self._walk(path)

    def _add(self, route: HTTPRoute | ASGIRoute | WebSocketRoute) -> None:
        node = self._root
        for part in route.path_components:
            if isinstance(part, PathParameterDefinition):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                _, node = node.literals.setdefault(part.lower(), (part, _Node()))
        node.template = route.path_format
        if not route.path_parameters:
            self._exact[route.path] = Match(route.path, node.template)

    def _walk(self, path: str) -> Match:
        node = self._root
        spelled = [""]
        for part in path.split("/"):
            if not part:
                continue
            literal = node.literals.get(part.lower())
            if literal is not None:
                word, node = literal
                spelled.append(word)
            elif node.parameter is not None:
                node = node.parameter
                spelled.append(part)
            else:
                return Match(path, None)
        if node.template is None:
            return Match(path, None)
        return Match("/".join(spelled) or "/", node.template)
