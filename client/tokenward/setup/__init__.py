"""`auth setup`: what is written once per user so that tools find tokenward by themselves.

| module | is about |
| --- | --- |
| `parts` | which tool needs which part |
| `keyring_part`, `uv_part`, `pip_part`, `pypirc_part` | what a part wants to be in which file |
| `kept_away` | the variables that keep tools from asking whatever is written |
| `draft`, `ini`, `toml` | pure: a settings file's text, and lines put into it |
| `step` | one file: what is there, what is to be there, whose word that is |
| `journal` | what was put where, so that it can be taken out again |
| `writing` | the disk |

Nothing here asks a person, starts an agent or needs one.
"""
