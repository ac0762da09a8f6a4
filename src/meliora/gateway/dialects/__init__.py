"""The wire formats: chat, responses, messages, embeddings. Pure functions over bytes and dicts; no I/O, no asyncio.

sse           framing and parsing of event streams
raw           changes to a request's raw JSON that leave every other byte alone
inspect       what the gateway must know of a request
summary       what the record must know of an answer, whole or streamed
usage         the four spellings of token counts
events        questions about one event of a stream: content, error, usage
errors        a provider's errors understood, ours rendered in the client's dialect
count_tokens  the estimate for upstreams that cannot count
translate/    from one dialect to another, both ways, streams too
"""
