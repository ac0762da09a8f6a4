"""HTTP: the control process's app, one router a subject, authentication. Thin: read, call one function, answer.

    app        puts the app together; the only name others need is `build_app`
    context    what the app is given: settings, store, clock, the models on offer, probes
    auth       who asks, by key, and what the key may do
    guard      the outermost layer: sizes, well-formed JSON, what only comes over the Unix socket
    failures   every error as one shape
    shapes     answers and how OpenAPI describes them
    inputs     kinds of input that several routers share
    feed       the numbered state that gateways follow, and the rules in it
    choice     `POST /route`: a decision without the call
    health     the parts of the deployment and how they are
    routers    one file a subject
    pages      the page that shows the API; ours alone, no third-party code

Refuses to hold SQL (that is the store's) or to serve model calls (that is the gateway's).
"""

from meliora.server.app import build_app
from meliora.server.context import ControlContext

__all__ = ["ControlContext", "build_app"]
