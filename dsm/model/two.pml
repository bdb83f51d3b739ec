// SPDX-License-Identifier: BSD-2-Clause
// Two pages, and what programs see across them: the protocol of sc.pml cut down to what orders
// accesses (REQUEST, INVALIDATE, GRANT with the data), two nodes with programs and one more that
// manages page 1, while node 0 manages page 0. The network reorders. A litmus test (Herding Cats, 2014) runs on
// it; its outcome that sequential consistency forbids is an assertion.
//
// -DTEST: 1 message passing (MP), 2 store buffering (SB), 3 load buffering (LB), 4 2+2W (tests/dsm/model.sh
// runs the first two); -DALLOWED=n
// asserts that the n-th outcome that is allowed does not come: it must fail. -DMUTATION=1: granted
// before all copies are gone; 2: a copy is given up after it was said to be.

#ifndef TEST
#define TEST 1
#endif
#ifndef ALLOWED
#define ALLOWED 0
#endif
#ifndef MUTATION
#define MUTATION 0
#endif

#define NODES  3
#define PAGES  2
#define NOBODY 7
#define NONE   0
#define READ   1
#define WRITE  2

#define REQUEST     1
#define INVALIDATE  2
#define INVALIDATED 3
#define FORWARD     4
#define DATA        5
#define DONE        6

// A message: kind 3, page 1, from 2, to 2, requester 2, write 1, value 2 bits.
#define message(k, p, f, t, r, w, v) \
    ((k) | (p) << 3 | (f) << 4 | (t) << 6 | (r) << 8 | (w) << 10 | (v) << 11)
#define KIND(m)   ((m) & 7)
#define PAGE(m)   ((m) >> 3 & 1)
#define FROM(m)   ((m) >> 4 & 3)
#define TO(m)     ((m) >> 6 & 3)
#define FOR(m)    ((m) >> 8 & 3)
#define WRITES(m) ((m) >> 10 & 1)
#define VALUE(m)  ((m) >> 11 & 3)

#define SLOTS 10
#define at(n, p) ((n) * PAGES + (p))
#define manager_of(p) ((p) == 0 -> 0 : 2)

short net[SLOTS];
byte under_way;

byte access[NODES * PAGES], data[NODES * PAGES];
bool late[NODES * PAGES]; // MUTATION 2: has said that it gave the copy up

// Managers, by page.
bool busy[PAGES], writes[PAGES], granting[PAGES];
byte owner[PAGES], copies[PAGES], requester[PAGES], unacknowledged[PAGES];

// The programs of nodes 0 and 1: at which step, and what they have read.
byte step[2], value_read[2];
bool waits[2];

short m;
byte i, n, page, w;

inline send(new)
{
    d_step {
        assert(under_way < SLOTS);
        i = under_way;
        do
        :: i > 0 && net[i - 1] < (new) -> net[i] = net[i - 1]; i--
        :: else -> break
        od;
        net[i] = (new);
        under_way++;
        i = 0
    }
}

inline take(place)
{
    d_step {
        i = place;
        do
        :: i + 1 < under_way -> net[i] = net[i + 1]; i++
        :: else -> break
        od;
        under_way--;
        net[under_way] = 0;
        i = 0
    }
}

inline go_on(p)
{
    if
    :: busy[p] && !granting[p] && (unacknowledged[p] == 0 || MUTATION == 1) ->
        granting[p] = true;
        send(message(FORWARD, p, manager_of(p), owner[p], requester[p], writes[p], 0))
    :: else -> skip
    fi
}

inline receive()
{
    page = PAGE(m);
    n = TO(m);
    if
    :: KIND(m) == REQUEST ->
        busy[page] = true;
        granting[page] = false;
        requester[page] = FROM(m);
        writes[page] = WRITES(m);
        unacknowledged[page] = 0;
        if
        :: WRITES(m) ->
            unacknowledged[page] = copies[page] & ~(1 << FROM(m)) & ~(1 << owner[page]);
            n = 0;
            do
            :: n < NODES ->
                if
                :: unacknowledged[page] & 1 << n ->
                    send(message(INVALIDATE, page, manager_of(page), n, FROM(m), 0, 0))
                :: else -> skip
                fi;
                n++
            :: else -> break
            od
        :: else -> skip
        fi;
        go_on(page)
    :: KIND(m) == INVALIDATE ->
        if
        :: MUTATION == 2 -> late[at(n, page)] = true
        :: else -> access[at(n, page)] = NONE; data[at(n, page)] = 0
        fi;
        send(message(INVALIDATED, page, n, FROM(m), 0, 0, 0))
    :: KIND(m) == INVALIDATED ->
        unacknowledged[page] = unacknowledged[page] & ~(1 << FROM(m));
        copies[page] = copies[page] & ~(1 << FROM(m));
        go_on(page)
    :: KIND(m) == FORWARD ->
        send(message(DATA, page, n, FOR(m), FOR(m), WRITES(m), data[at(n, page)]));
        if
        :: WRITES(m) && FOR(m) != n -> access[at(n, page)] = NONE; data[at(n, page)] = 0
        :: !WRITES(m) -> access[at(n, page)] = READ
        :: else -> skip
        fi
    :: KIND(m) == DATA ->
        late[at(n, page)] = false;
        data[at(n, page)] = VALUE(m);
        access[at(n, page)] = (WRITES(m) -> WRITE : READ);
        act(n);
        send(message(DONE, page, n, manager_of(page), n, WRITES(m), 0))
    :: KIND(m) == DONE ->
        if
        :: WRITES(m) -> owner[page] = FROM(m); copies[page] = 1 << FROM(m)
        :: else -> copies[page] = copies[page] | 1 << FROM(m)
        fi;
        busy[page] = false
    fi;
    n = 0; page = 0
}

// What a program's step does: the page, and the value that is written; 0: it reads.
inline look(who)
{
    if
    :: TEST == 1 && who == 0 -> page = step[who]; w = 1
    :: TEST == 1 && who == 1 -> page = 1 - step[who]; w = 0
    :: TEST == 2 && step[who] == 0 -> page = who; w = 1
    :: TEST == 2 && step[who] == 1 -> page = 1 - who; w = 0
    :: TEST == 3 && step[who] == 0 -> page = who; w = 0
    :: TEST == 3 && step[who] == 1 -> page = 1 - who; w = 1
    :: TEST == 4 -> page = (step[who] == 0 -> who : 1 - who); w = 1 + step[who]
    fi
}

// The access is done, in one moment.
inline act(who)
{
    look(who);
    if
    :: w != 0 -> data[at(who, page)] = w
    :: else -> value_read[who] = value_read[who] | data[at(who, page)] << (2 * step[who])
    fi;
    step[who]++;
    waits[who] = false;
    w = 0
}

inline begin_step(who)
{
    look(who);
    if
    :: access[at(who, page)] >= (w != 0 -> WRITE : READ) -> act(who)
    :: else ->
        waits[who] = true;
        send(message(REQUEST, page, who, manager_of(page), who, (w != 0), 0))
    fi;
    w = 0; page = 0
}

#define FINAL(p) data[at(owner[p], p)]

// What each thread read, in the order of its steps; what is forbidden, and what must come.
inline judge()
{
    if
    :: TEST == 1 ->
        assert(value_read[1] != 1);
        assert(ALLOWED != 1 || value_read[1] != 0);
        assert(ALLOWED != 2 || value_read[1] != 4);
        assert(ALLOWED != 3 || value_read[1] != 5)
    :: TEST == 2 ->
        assert(value_read[0] != 0 || value_read[1] != 0);
        assert(ALLOWED != 1 || value_read[0] == 0 || value_read[1] != 0);
        assert(ALLOWED != 2 || value_read[0] != 0 || value_read[1] == 0);
        assert(ALLOWED != 3 || value_read[0] == 0 || value_read[1] == 0)
    :: TEST == 3 ->
        assert(value_read[0] == 0 || value_read[1] == 0);
        assert(ALLOWED != 1 || value_read[0] != 0 || value_read[1] != 0);
        assert(ALLOWED != 2 || value_read[0] == 0);
        assert(ALLOWED != 3 || value_read[1] == 0)
    :: TEST == 4 ->
        assert(FINAL(0) != 1 || FINAL(1) != 1);
        assert(ALLOWED != 1 || FINAL(0) != 2 || FINAL(1) != 1);
        assert(ALLOWED != 2 || FINAL(0) != 1 || FINAL(1) != 2);
        assert(ALLOWED != 3 || FINAL(0) != 2 || FINAL(1) != 2)
    fi
}

active proctype world()
{
    d_step {
        // At first node 2 owns both pages, and all have read them.
        owner[0] = 2; owner[1] = 2; copies[0] = 7; copies[1] = 7;
        access[at(2, 0)] = READ; access[at(2, 1)] = READ;
        access[at(0, 0)] = READ; access[at(1, 0)] = READ;
        access[at(0, 1)] = READ; access[at(1, 1)] = READ
    };
    do
    :: atomic { step[0] < 2 && !waits[0] -> begin_step(0) }
    :: atomic { step[1] < 2 && !waits[1] -> begin_step(1) }
    // MUTATION 2: the copy goes at last.
    :: atomic { late[at(0, 0)] -> late[at(0, 0)] = false; access[at(0, 0)] = NONE; data[at(0, 0)] = 0 }
    :: atomic { late[at(1, 0)] -> late[at(1, 0)] = false; access[at(1, 0)] = NONE; data[at(1, 0)] = 0 }
    :: atomic { late[at(0, 1)] -> late[at(0, 1)] = false; access[at(0, 1)] = NONE; data[at(0, 1)] = 0 }
    :: atomic { late[at(1, 1)] -> late[at(1, 1)] = false; access[at(1, 1)] = NONE; data[at(1, 1)] = 0 }
    // A copy that is not the owner's is dropped.
    :: atomic { access[at(1, 1)] == READ && !waits[1] && owner[1] != 1 -> access[at(1, 1)] = NONE; data[at(1, 1)] = 0 }
    :: atomic { under_way > 0 ->
        n = 0;
        do
        :: n + 1 < under_way -> n++
        :: break
        od;
        if
        :: KIND(net[n]) != REQUEST || !busy[PAGE(net[n])] -> m = net[n]; take(n); n = 0; receive(); m = 0
        :: else -> n = 0
        fi }
    :: atomic { under_way == 0 && step[0] == 2 && step[1] == 2 -> judge(); break }
    od
}
