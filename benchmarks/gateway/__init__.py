"""The gateway's numbers: `python -m benchmarks.gateway [--quick] [--peers] [--seed N] [--json FILE]`.

processes   start a process on a core, read its CPU time and memory, stop it by its id
served      this gateway as a process, under a key, a limit and a rule
rivals      TensorZero, Portkey and LiteLLM, installed aside and pointed at the same upstream
saturate    CPU a request and a chunk, requests a second, the control on the load itself
latency     what the gateway adds at 100 requests a second
memory      what 200,000 calls and 1,000 open streams leave behind
stored      ingest, and the same calls with a million stored
"""
