"""Some days in the life of an application behind Meliora, played in minutes (`python -m examples.demo`).

- `world`    the models, the users and what they ask: what is true, which Meliora is never told
- `drive`    Meliora in this process on a clock that is moved: the real gateway, control app, worker and loop
- `story`    what happens when, and what Meliora made of it
- `report`   the table
- `plot`     the picture, as SVG
"""
