// SPDX-License-Identifier: BSD-2-Clause
// A program that does nothing until it is killed.
#include <unistd.h>

int main(void)
{
    for (;;)
        pause();
}
