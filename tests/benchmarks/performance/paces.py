"""How long models take that stand in for a GPU: they compute nothing."""

from trainer.serve.pace import Pace

#: pictures a second -> the pace of a GPU that makes so many: 128 at once in 5 + 128 x 0.361 ms are 2,500
GPUS = {1_000: Pace(5.0, 0.961), 2_500: Pace(5.0, 0.361), 5_000: Pace(5.0, 0.161)}
#: no time at all: what is left is the line's own
FREE = Pace(0.0, 0.0)
