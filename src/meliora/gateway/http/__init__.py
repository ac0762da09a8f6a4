"""The upstream client: HTTP/1.1 over pooled connections, because every general client costs more than the rest of the gateway.

connection   one connection, one answer at a time, with back-pressure
dial         how a connection is opened: TLS, own authorities, proxies, Unix sockets
pool         idle connections, the stale ones retried, the slow ones timed out
upstream     a pool with a base URL and a key: what `gateway.upstream` asks for
"""
