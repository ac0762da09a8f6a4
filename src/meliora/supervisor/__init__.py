"""`meliora up`: three processes kept alive on one machine. Part of `runtime`; serves no call itself.

layout    the state directory: where the pid file, the keys and the logs lie, and who owns a pid
prepare   what a first start makes: directory, database, the first admin key
watch     start the processes, restart the dead ones, pass signals on
detach    start in the background and wait until it answers; stop; look
child     what each of the three processes runs
"""
