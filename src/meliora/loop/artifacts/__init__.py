"""What a closed cycle leaves on the disk: references and figures, each file under its hash, never a prompt or an answer.

- `facts`      what is read of a cycle, as it stood when it was closed
- `documents`  the files, made of the facts alone: the same facts, the same bytes
- `trial`      the arms of a trial as they are told
- `plain`      YAML and JSON in one form
- `folder`     a folder that is there whole or not at all, and whether it still is as it was written
- `archive`    makes the folders of closed cycles, once each, whatever dies meanwhile

What does not apply to a cycle has no file; the manifest names it with the reason.
"""
