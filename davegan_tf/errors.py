"""The one exception that means: the user can mend this."""


class InputError(ValueError):
    """Something that was given cannot be used.

    The message is one sentence: what was wrong, where (file, key), what was expected and what to do.
    The command line prints it without a traceback and exits with code 2.
    """
