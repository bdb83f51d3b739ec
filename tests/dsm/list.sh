# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The experiments, as the tests run them: program and arguments | a byte of the memory that matters to the
# result (option -x).
# shellcheck disable=SC2034 # for whoever reads this file in
experiments=(
    "matmul -n 96|160006"
    "large -n 1|40000"
    "sor -n 126 -r 5|65544"
    "lu -n 96|40006"
    "lu -n 96 -v 1|40006"
    "fft -n 12|98310"
    "tsp -n 11|4096"
    "radix -n 4096|20480"
    "nbody -n 96 -r 3|402"
    "falseshare -n 500|0"
    "falseshare -n 500 -v 1|512"
    "falseshare -n 200 -v 2|520"
    "queue -n 100|4096"
    "blackboard -n 20|48"
)
