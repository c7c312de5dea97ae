"""What a board has room for, and what its slots say: version 1 of the package comment of worker/scoreboard."""

SIZE = 65536
SLOTS = 240
OVERDUE = 12
NO_SLOT = -1
TEXTS = 212
"""How much of a slot follows its flags and is in use, in bytes."""

IN_USE, STREAMING, UPGRADED, ENDED = 1, 2, 4, 8
