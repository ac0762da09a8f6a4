"""The built-in provider `simulated`: everything can be tried without a key, and every answer says that it is simulated.

    models       the models: declared price, latency and quality per task
    knowledge    what they know: the right answer to a question, and a plausible wrong one
    schema       an instance of a JSON schema
    reading      a request of any dialect as one `Ask`
    reply        an `Ask` and a model make a `Reply`: text, tool calls, thinking, usage
    rendering/   a `Reply` as the bodies and the events of each dialect
    answers      all of it in one pure function
    upstream     the provider in this process

Deterministic by seed and request: equal conversations get equal texts, streamed or not, in every dialect.
"""
