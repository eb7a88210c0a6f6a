"""The main job as typed: `menu.py` runs it, `words.py` says which words go together, `endings.py` how it ends."""
