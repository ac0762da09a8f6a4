"""LLM calls: OpenAI and Anthropic wire formats, providers, streaming, retries, limits, keys.

    app          the ASGI callable: which path is whose
    call         one call from its first byte to its record
    reading      a request's body, checked and understood
    heads        what the heads of answers say
    attempt      one try at one endpoint, and what its failure means
    entropy      random bytes, in blocks
    catalog      the immutable picture of providers, models, prices, keys and rules that a call is decided by
    dialects/    chat, responses, messages: translation both ways
    http/        the upstream client: connections, pools, TLS, proxies
    simulated/   the built-in provider

The request path imports no pandas, scikit-learn, SQLAlchemy or FastAPI.
"""
