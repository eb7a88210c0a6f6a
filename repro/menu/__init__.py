"""The pages of the menu that `tasks.py` lists: each task names its flags, helps with them, and passes them on."""
