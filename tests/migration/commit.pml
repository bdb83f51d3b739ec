// SPDX-License-Identifier: BSD-2-Clause
// The commit protocol of a move under everything that can happen to it, for spin. The table is the
// code's own (linuxserver/migration/commit.def).
//
// A process tries to leave a node, and tries again when that failed (MOVES attempts). The wire loses,
// repeats and reorders messages (a message on the wire is a bit: it is delivered any number of
// times, or never) and can be cut and healed; either side can take the other for dead when it is cut
// off; either node can die and come back as another incarnation.
#include "linuxserver/migration/names.h"

#ifndef MOVES
#define MOVES 2
#endif
#ifndef CUTS
#define CUTS 2
#endif
#ifndef LOSSES
#define LOSSES 3
#endif
#ifndef CRASHES
#define CRASHES 1
#endif

#define ROUNDS 8
#define MESSAGES 10 // PREPARE … ABORTED
#define WIRE(move, kind) wire[(move) * MESSAGES + (kind)]

bool wire[MOVES * MESSAGES];
byte source[MOVES], target[MOVES];
byte current;             // the move that the source makes
bool cut;                 // the wire
byte cuts, losses;
bool source_died, target_died;
bool gone;                // the target knows that
bool frozen;              // the process at its source
bool away;                // committed
bool copies[MOVES];       // processes that run at the target
bool lost;                // by the death of a node, or a break after all is settled

// What happens next.
#define AT_SOURCE 0
#define AT_TARGET 1
#define NOWHERE   2
byte where, move, event;
byte from, next;
int work;
byte round;               // of the calm at the end; 0: not yet

#define ROW(state, by, then, what)                                                                 \
    :: (from == state && event == by) -> next = then; work = what

#define SENDS(flag, kind)                                                                          \
    if                                                                                             \
    :: (work & flag) -> WIRE(move, kind) = true                                                    \
    :: else -> skip                                                                                \
    fi

#define LOCAL_WORK(state)                                                                          \
    (state == SOURCE_FREEZING || state == TARGET_CHECKING || state == TARGET_BUILDING)
#define RUNS_AT_SOURCE (!frozen && !source_died)
#define RUNS_AT_TARGET (copies[0] || copies[MOVES - 1])

// Chooses a message of the wire, or none.
inline arrives()
{
    select (move : 0 .. MOVES - 1);
    select (event : 0 .. MESSAGES - 1);
    if
    :: (!WIRE(move, event)) -> where = NOWHERE
    :: (WIRE(move, event) && event <= SETTLE) -> where = (target_died -> NOWHERE : AT_TARGET)
    :: (WIRE(move, event) && event > SETTLE) -> where = (source_died -> NOWHERE : AT_SOURCE)
    fi
}

inline happens(what)
{
    event = what;
    if
    :: !source_died -> where = AT_SOURCE; move = current
    :: !target_died -> where = AT_TARGET; select (move : 0 .. MOVES - 1); skip
    fi
}

inline die_at_source()
{
    source_died = true; frozen = true; lost = lost || !away
}

inline die_at_target()
{
    target_died = true; lost = lost || RUNS_AT_TARGET;
    copies[0] = false; copies[MOVES - 1] = false
}

// Whoever knows another's new incarnation takes nothing of the old one any more.
inline hear_of_death()
{
    gone = true;
    where = (source_died -> AT_TARGET : AT_SOURCE);
    event = PEER_GONE;
    if
    :: source_died -> select (move : 0 .. MOVES - 1); skip
    :: else -> move = current
    fi
}

// All that can go wrong, in any order.
inline choose()
{
    where = NOWHERE;
    if
    :: !cut -> arrives(); skip
    :: losses < LOSSES -> arrives(); where = NOWHERE; WIRE(move, event) = false; losses++
    :: happens(TICK); skip
    :: happens(CAN); skip
    :: happens(CANNOT); skip
    :: !source_died -> where = AT_SOURCE; event = CANCEL; move = current
    :: (!source_died && source[current] == SOURCE_ABORTED && current < MOVES - 1) ->
        current++; where = AT_SOURCE; event = BEGIN; move = current
    :: (!cut && cuts < CUTS) -> cut = true; cuts++
    :: cut -> cut = false
    :: cut -> happens(PEER_DEAD); skip
    :: (CRASHES && !source_died && !target_died) -> die_at_source(); skip
    :: (CRASHES && !source_died && !target_died) -> die_at_target(); skip
    :: (source_died || target_died) -> hear_of_death(); skip
    :: (!source_died && !target_died) -> round = 1; cut = false; move = 0; event = 0
    fi
}

// The wire is whole and loses nothing, and both nodes live: some rounds in which all that is on the
// wire arrives, all that was asked for is done, and time goes by. `event` and `move` count.
byte calm_move, calm_event;
inline calm()
{
    move = calm_move;
    event = calm_event;
    if
    :: event < MESSAGES ->
        where = (WIRE(move, event) -> (event <= SETTLE -> AT_TARGET : AT_SOURCE) : NOWHERE);
        WIRE(move, event) = false
    :: event == MESSAGES -> where = AT_SOURCE; event = CAN
    :: event == MESSAGES + 1 -> where = AT_TARGET; event = CAN
    :: event == MESSAGES + 2 -> where = AT_SOURCE; event = TICK
    :: else -> where = AT_TARGET; event = TICK
    fi;
    calm_event++;
    if
    :: calm_event > MESSAGES + 3 ->
        calm_event = 0; calm_move++;
        if
        :: calm_move == MOVES -> calm_move = 0; round++
        :: else -> skip
        fi
    :: else -> skip
    fi
}

inline look_up()
{
    next = from;
    work = NOTHING;
    if
    :: (event == CAN || event == CANNOT) && !LOCAL_WORK(from) -> skip
#include "linuxserver/migration/commit.def"
    :: else -> skip
    fi
}

// The event takes place.
inline perform()
{
    assert(where != AT_TARGET || event != COMMIT || target[move] == TARGET_READY ||
           target[move] == TARGET_RUNNING || target[move] == TARGET_SETTLED || gone ||
           (target[move] == TARGET_ENDED && lost));
    if
    :: (where == AT_TARGET && source_died && gone && event <= SETTLE) -> where = NOWHERE
    :: (where == AT_SOURCE && target_died && gone && event >= PREPARED && event <= ABORTED) ->
        where = NOWHERE
    :: else -> skip
    fi;
    if
    :: where != NOWHERE ->
        from = (where == AT_SOURCE -> source[move] : target[move]);
        look_up();
        if
        :: (work & FREEZE) -> assert(!frozen); frozen = true
        :: else -> skip
        fi;
        if
        :: (work & THAW) -> assert(frozen && !away); frozen = false
        :: else -> skip
        fi;
        if
        :: (work & RUN) -> assert(!copies[move] && away); copies[move] = true
        :: else -> skip
        fi;
        if
        :: (work & DISCARD) -> assert(!copies[move])
        :: else -> skip
        fi;
        if
        :: (work & KILL) -> assert(lost && copies[move]); copies[move] = false
        :: else -> skip
        fi;
        // None is refused that is ready.
        assert(from != SOURCE_COMMITTED || event != REFUSED);
        if
        :: where == AT_SOURCE ->
            away = away || next == SOURCE_COMMITTED;
            lost = lost || next == SOURCE_LOST;
            source[move] = next
        :: else -> target[move] = next
        fi;
        SENDS(SEND_PREPARE, PREPARE);
        SENDS(SEND_STATE, STATE);
        SENDS(SEND_COMMIT, COMMIT);
        SENDS(SEND_ABORT, ABORT);
        SENDS(SEND_SETTLE, SETTLE);
        SENDS(SEND_PREPARED, PREPARED);
        SENDS(SEND_REFUSED, REFUSED);
        SENDS(SEND_READY, READY);
        SENDS(SEND_RUNNING, RUNNING);
        SENDS(SEND_ABORTED, ABORTED)
    :: else -> skip
    fi;
    // Never two of it.
    assert(!(RUNS_AT_SOURCE && RUNS_AT_TARGET));
    assert(MOVES == 1 || !(copies[0] && copies[MOVES - 1]));
    where = NOWHERE; work = 0; from = 0; next = 0
}

active proctype nodes()
{
    byte i;

    for (i : 0 .. MOVES - 1) {
        source[i] = SOURCE_IDLE;
        target[i] = TARGET_NONE
    }
    i = 0;
    atomic { where = AT_SOURCE; event = BEGIN; move = 0; perform() }
    do
    :: round == 0 -> atomic { choose(); perform(); move = (round == 0 -> 0 : move); event = 0 }
    :: round > 0 && round <= ROUNDS -> d_step { calm(); perform(); move = 0; event = 0 }
    :: round > ROUNDS -> break
    od;
    // Not none of it, and all agree how the moves have ended. (A target that is settled finds by
    // itself that its home is lost: move.c.)
    assert(lost || RUNS_AT_SOURCE || RUNS_AT_TARGET);
    for (i : 0 .. MOVES - 1) {
        assert(source[i] == SOURCE_IDLE || source[i] == SOURCE_ABORTED || source[i] == SOURCE_AWAY ||
               (lost && source[i] == SOURCE_LOST));
        assert(target[i] == TARGET_NONE || target[i] == TARGET_ENDED ||
               target[i] == TARGET_SETTLED)
    }
}
