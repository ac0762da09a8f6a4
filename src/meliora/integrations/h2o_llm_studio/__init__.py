"""H2O LLM Studio: fine-tunes a language model to tell documents that answer a query from those that do not.

Follows its release 1.14: there is no package of it, only a checkout with an environment of its own (`make setup` in it).

- `settings`   what may be set of a run, and the configuration that `llm_studio/train.py -Y FILE` takes
- `tables`     queries and documents as the two tables that it reads
- `output`     what its log, flags and console tell of a run; nothing is unpickled
- `process`    the process: started, watched, ended with all that it started
- `trainer`    all of it as a `Trainer`
"""
