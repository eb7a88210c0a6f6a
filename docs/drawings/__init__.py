"""The drawings of the pages in docs/: each is made by the functions of the models themselves."""
