"""HTTP/1.1 on both sides of the gateway, because every general client and server costs more than the rest of it.

    server       a client's connection: requests in, answers out, within limits
    known        a head that came before, recognised by its bytes
    exchange     one request on it, as ASGI sees it
connection   one connection, one answer at a time, with back-pressure
dial         how a connection is opened: TLS, own authorities, proxies, Unix sockets
pool         idle connections, the stale ones retried, the slow ones timed out
upstream     a pool with a base URL and a key: what `gateway.upstream` asks for
"""
