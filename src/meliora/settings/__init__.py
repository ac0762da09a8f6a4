"""Settings: the only reader of the environment.

    models      what can be set, with its meaning and its default (the documentation is generated from it)
    load        `meliora.toml`, then `MELIORA_*` over it, then what is wrong and where (`checks`, `places`, `environment`)
    secret      what `env:NAME` and `file:PATH` lead to
    document    the reference and the example file, written from the models
    litellm     a LiteLLM proxy configuration, translated; `self_improvement` the documents' YAML, likewise

Precedence: `MELIORA_*` over `meliora.toml` over the documents' bare names (`ENABLE_LEARNING`, ...) over the defaults.
"""

from meliora.settings.models import Settings

__all__ = ["Settings"]
