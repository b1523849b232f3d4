"""`auth setup`: files written once per user, by which tools find tokenward.

| module | contents |
| --- | --- |
| `parts` | which tool needs which part |
| `keyring_part`, `uv_part`, `pip_part`, `pypirc_part` | what a part writes into which file |
| `kept_away` | variables that keep tools from asking, whatever is written |
| `draft`, `ini`, `toml` | pure: the text of a settings file, and inserting lines |
| `step` | one file: its state, its wanted state, and whose setting it has |
| `journal` | what was written where, to undo it |
| `work` | the disk |

Nothing here prompts the user, starts an agent or needs one.
"""
