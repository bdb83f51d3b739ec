// SPDX-License-Identifier: BSD-2-Clause
// The card as the wire of the switch, and as a source and two steps of the event loop:
// received frames before all other steps, what they send behind them.
#pragma once

#include "netipc/driver.h"
#include "netipc/switch.h"

// The first card that a driver has, or NULL. Begins the steps: frames in, TCP/IP's
// timers.
struct network_card *card_open(struct network_switch *network);

// When all other steps have been added: shows the card what is to be sent.
void card_finish_steps(void);

// Shows the card at once what was sent, for threads that are not the loop's.
void card_flush(void);

// Called when the card has room again, besides TCP/IP. NULL: nobody.
void card_on_room(void (*room)(void));
