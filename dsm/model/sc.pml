// SPDX-License-Identifier: BSD-2-Clause
// The protocol of dsm/core for one page (pages do not touch each other but that they are
// fetched ahead, by transactions of their own): NODES nodes, node 0 the page's manager and
// node 1 its backup, on a network that reorders, and doubles a message now and then; caches
// that drop copies; a death at any moment. States and messages have the names of
// dsm/core/manager.c, transfer.c and wire.h. After the death there is a new view, here in
// one step: messages of the old one are gone, and the directory is made anew from what all
// hold, by the rules of rebuild.c.
//
// Checked (dsm.md): one writer or many readers; a copy holds the newest version; who has a
// copy is known to the manager; one owner, or one transfer under way; after a death the newest
// surviving data, and an error only when they died; every request ends.
//
// -DNODES -DREQUESTS (in all) -DDEATHS -DDOUBLES -DMUTATION, -DAHEADS (how often the manager gives the
// page to who has not asked for it, because it asked for one before it): see tests/dsm/model.sh.

#ifndef NODES
#define NODES 3
#endif
#ifndef REQUESTS
#define REQUESTS 3
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef DOUBLES
#define DOUBLES 0
#endif
#ifndef AHEADS
#define AHEADS 0
#endif
#ifndef MUTATION
#define MUTATION 0
#endif

#define SLOTS  8 // messages under way at most
#define NOBODY 7

// Access, and the manager's states.
#define NONE         0
#define READ         1
#define WRITE        2
#define IDLE         0
#define INVALIDATING 1
#define GRANTING     2

// Messages.
#define REQUEST     1
#define FORWARD     2
#define DATA        3
#define GRANT       4
#define INVALIDATE  5
#define INVALIDATED 6
#define DONE        7
#define RESEND      8
#define MARK        9
#define MARKED      10

// A message is a number: kind 4, from 3, to 3, requester 3, write 1, have 1, txn 5, version 4 bits.
#define message(k, f, t, r, w, h, x, v) \
    ((k) | (f) << 4 | (t) << 7 | (r) << 10 | (w) << 13 | (h) << 14 | (x) << 15 | (v) << 20)
#define KIND(m)      ((m) & 15)
#define FROM(m)      ((m) >> 4 & 7)
#define TO(m)        ((m) >> 7 & 7)
#define FOR(m)       ((m) >> 10 & 7)
#define WRITES(m)    ((m) >> 13 & 1)
#define HAVE(m)      ((m) >> 14 & 1)
#define TXN(m)       ((m) >> 15 & 31)
#define VERSION(m)   ((m) >> 20 & 15)

int net[SLOTS]; // sorted, so that the order in which they were sent makes no difference
byte under_way;

// A node's copy (struct page).
byte access[NODES], version[NODES], txn[NODES], want[NODES], data[NODES];
bool owner[NODES], dead[NODES];
byte handed_to[NODES], handed_txn[NODES], handed_version[NODES], handed_data[NODES];

// The manager's (struct entry), and what the backup knows.
byte manager, backup, state, m_owner, copies, m_version, m_txn, requester, unacknowledged;
bool writes, have, unmarked, m_written, done;
byte m_first, b_first;
bool b_written, lost;

// What the checks know.
byte latest, left, deaths, doubles, aheads;
int m;
byte i, j, n;

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

inline check()
{
    d_step {
        i = 0;
        do
        :: i < NODES ->
            // A valid copy holds the newest version.
            assert(dead[i] || access[i] == NONE || data[i] == latest);
            // Who has a copy is known to the manager, or about to be.
            assert(dead[i] || access[i] == NONE || (copies & 1 << i) || requester == i);
            j = 0;
            do
            :: j < NODES ->
                assert(i == j || dead[i] || dead[j] || access[i] != WRITE || access[j] == NONE);
                assert(i == j || dead[i] || dead[j] || !owner[i] || !owner[j]);
                j++
            :: else -> break
            od;
            i++
        :: else -> break
        od;
        i = 0; j = 0
    }
}

// --- The manager: manager.c ----------------------------------------------------------------------

inline put_grant()
{
    if
    :: m_owner == NOBODY || m_owner == requester ->
        send(message(GRANT, manager, requester, requester, writes, (m_owner != NOBODY), m_txn, m_version + writes))
    :: else ->
        send(message(FORWARD, manager, m_owner, requester, writes, (writes && have), m_txn, m_version + writes))
    fi
}

inline go_on()
{
    if
    :: state == INVALIDATING && (unacknowledged == 0 || MUTATION == 1) &&
       (!unmarked || MUTATION == 3) ->
        if
        :: writes && !m_written -> m_written = true; m_first = requester
        :: else -> skip
        fi;
        put_grant();
        if
        :: !writes -> copies = copies | 1 << requester
        :: else -> skip
        fi;
        state = GRANTING
    :: else -> skip
    fi
}

inline start()
{
    m_txn++;
    unacknowledged = 0;
    unmarked = false;
    done = false;
    if
    :: writes ->
        unacknowledged = copies & ~(1 << requester);
        if
        :: m_owner != NOBODY -> unacknowledged = unacknowledged & ~(1 << m_owner)
        :: else -> skip
        fi;
        n = 0;
        do
        :: n < NODES ->
            if
            :: unacknowledged & 1 << n ->
                send(message(INVALIDATE, manager, n, requester, 0, 0, m_txn, 0))
            :: else -> skip
            fi;
            n++
        :: else -> break
        od;
        n = 0;
        if
        :: !m_written && backup != NOBODY && backup != requester ->
            unmarked = true;
            send(message(MARK, manager, backup, requester, 0, 0, m_txn, 0))
        :: else -> skip
        fi
    :: else -> skip
    fi;
    state = INVALIDATING;
    go_on()
}

inline finish()
{
    if
    :: done && !unmarked -> state = IDLE; requester = NOBODY; done = false
    :: else -> skip
    fi
}

inline manager_done()
{
    if
    :: state == GRANTING && FROM(m) == requester && TXN(m) == m_txn && !done ->
        if
        :: writes -> m_version++; m_owner = requester; copies = 1 << requester
        :: else -> skip
        fi;
        done = true;
        finish()
    :: else -> skip
    fi
}

// --- A node's copy: transfer.c --------------------------------------------------------------------

inline put_done(to_owner)
{
    send(message(DONE, TO(m), manager, TO(m), WRITES(m), 0, TXN(m), 0));
    if
    :: WRITES(m) && FROM(m) != manager && to_owner ->
        send(message(DONE, TO(m), FROM(m), TO(m), WRITES(m), 0, TXN(m), 0))
    :: else -> skip
    fi
}

inline forget_handed(node)
{
    handed_to[node] = NOBODY; handed_txn[node] = 0; handed_version[node] = 0; handed_data[node] = 0
}

inline forwarded()
{
    n = TO(m);
    if
    :: TXN(m) < txn[n] -> skip
    :: TXN(m) == txn[n] && handed_to[n] != NOBODY ->
        send(message(DATA, n, FOR(m), handed_data[n], 1, 0, TXN(m), handed_version[n]))
    :: TXN(m) == txn[n] && handed_to[n] == NOBODY && !owner[n] && WRITES(m) ->
        send(message(DATA, n, FOR(m), 0, 1, 1, TXN(m), VERSION(m)))
    :: TXN(m) > txn[n] || (TXN(m) == txn[n] && handed_to[n] == NOBODY && owner[n]) ->
        assert(owner[n]); // else the data are gone, without a death
        txn[n] = TXN(m);
        if
        :: WRITES(m) ->
            handed_to[n] = FOR(m);
            handed_txn[n] = TXN(m);
            handed_version[n] = VERSION(m);
            handed_data[n] = data[n];
            access[n] = NONE;
            owner[n] = false;
            send(message(DATA, n, FOR(m), data[n], 1, HAVE(m), TXN(m), VERSION(m)));
            data[n] = 0;
            if
            :: MUTATION == 2 -> forget_handed(n)
            :: else -> skip
            fi
        :: else ->
            access[n] = READ;
            send(message(DATA, n, FOR(m), data[n], 0, 0, TXN(m), version[n]))
        fi
    :: else -> skip
    fi;
    n = 0
}

// FOR of DATA is what the data are.
inline accepted()
{
    n = TO(m);
    if
    :: TXN(m) <= txn[n] && MUTATION != 4 -> put_done(true)
    :: (TXN(m) > txn[n] || MUTATION == 4) && KIND(m) == DATA && HAVE(m) && access[n] == NONE ->
        send(message(RESEND, n, FROM(m), n, 0, 0, TXN(m), 0))
    :: else ->
        assert(KIND(m) == DATA || !HAVE(m) || owner[n]); // GRANT to the owner: it has the data
        txn[n] = TXN(m);
        version[n] = VERSION(m);
        forget_handed(n);
        if
        :: access[n] == NONE && KIND(m) == DATA -> data[n] = FOR(m)
        :: access[n] == NONE && KIND(m) == GRANT && !HAVE(m) -> data[n] = 0
        :: else -> skip
        fi;
        if
        :: WRITES(m) -> access[n] = WRITE; owner[n] = true
        :: !WRITES(m) && !owner[n] -> access[n] = READ
        :: else -> skip
        fi;
        put_done(true);
        check();
        // Whoever waited has its access now.
        if
        :: access[n] >= want[n] ->
            if
            :: want[n] == WRITE -> latest++; data[n] = latest
            :: else -> skip
            fi;
            want[n] = NONE
        :: else -> skip
        fi
    fi;
    n = 0
}

inline receive()
{
    if
    :: KIND(m) == REQUEST ->
        requester = FROM(m);
        writes = WRITES(m);
        have = HAVE(m) && VERSION(m) == m_version && (copies & 1 << requester);
        start()
    :: KIND(m) == FORWARD -> forwarded()
    :: KIND(m) == DATA || KIND(m) == GRANT -> accepted()
    :: KIND(m) == INVALIDATE ->
        if
        :: TXN(m) > txn[TO(m)] -> txn[TO(m)] = TXN(m); access[TO(m)] = NONE; data[TO(m)] = 0
        :: else -> skip
        fi;
        if
        :: TXN(m) == txn[TO(m)] ->
            send(message(INVALIDATED, TO(m), manager, 0, 0, 0, TXN(m), 0))
        :: else -> skip
        fi
    :: KIND(m) == INVALIDATED ->
        if
        :: TXN(m) == m_txn && state == INVALIDATING ->
            unacknowledged = unacknowledged & ~(1 << FROM(m));
            copies = copies & ~(1 << FROM(m));
            go_on()
        :: else -> skip
        fi
    :: KIND(m) == DONE ->
        n = TO(m);
        if
        :: handed_to[n] == FROM(m) && handed_txn[n] == TXN(m) ->
            version[n] = handed_version[n];
            forget_handed(n)
        :: else -> skip
        fi;
        if
        :: n == manager -> manager_done()
        :: else -> skip
        fi;
        n = 0
    :: KIND(m) == RESEND ->
        n = TO(m);
        if
        :: handed_to[n] == FROM(m) && handed_txn[n] == TXN(m) ->
            send(message(DATA, n, FROM(m), handed_data[n], 1, 0, TXN(m), handed_version[n]))
        :: else -> skip
        fi;
        n = 0
    :: KIND(m) == MARK ->
        if
        :: !b_written -> b_written = true; b_first = FOR(m)
        :: else -> skip
        fi;
        send(message(MARKED, TO(m), manager, 0, 0, 0, TXN(m), 0))
    :: KIND(m) == MARKED ->
        if
        :: TXN(m) == m_txn && unmarked ->
            unmarked = false;
            go_on();
            finish()
        :: else -> skip
        fi
    fi
}

// --- A death, and the view after it: rebuild.c ------------------------------------------------------

inline rebuild(gone)
{
    d_step {
        dead[gone] = true;
        lost = false;
        i = 0;
        // Whether the newest data, or the right to make newer ones, may have died.
        bool died = access[gone] == WRITE || owner[gone] || m_first == gone || b_first == gone ||
                    handed_to[gone] != NOBODY;
        do
        :: i < NODES ->
            died = died || handed_to[i] == gone;
            i++
        :: else -> break
        od;
        do
        :: under_way > 0 -> under_way--; net[under_way] = 0
        :: else -> break
        od;
        // What the survivors say. `known`: the highest version that anybody has had.
        byte known = 0, best = 0, from = NOBODY, newest = 0, first = NOBODY;
        bool written = false;
        copies = 0; m_owner = NOBODY;
        if
        :: gone != manager && m_written -> written = true; first = m_first
        :: else -> skip
        fi;
        if
        :: gone != backup && backup != NOBODY && b_written -> written = true; first = b_first
        :: else -> skip
        fi;
        i = 0;
        do
        :: i < NODES ->
            if
            :: !dead[i] ->
                txn[i] = 0;
                if
                :: version[i] > known -> known = version[i]
                :: else -> skip
                fi;
                if
                :: access[i] != NONE && copies != 0 && version[i] < best -> access[i] = NONE
                :: access[i] != NONE && (copies == 0 || version[i] >= best) ->
                    if
                    :: version[i] > best -> copies = 0
                    :: else -> skip
                    fi;
                    best = version[i];
                    copies = copies | 1 << i;
                    if
                    :: owner[i] -> m_owner = i
                    :: else -> skip
                    fi
                :: else -> skip
                fi;
                if
                :: handed_to[i] == gone -> forget_handed(i)
                :: handed_to[i] != NOBODY && handed_to[i] != gone && handed_version[i] > newest ->
                    newest = handed_version[i];
                    from = i
                :: else -> skip
                fi
            :: else -> skip
            fi;
            i++
        :: else -> break
        od;
        written = written || known > 0;
        manager = (dead[0] -> 1 : 0);
        backup = 2;
        if
        :: NODES == 2 -> backup = NOBODY
        :: NODES > 2 && !dead[1] && !dead[0] -> backup = 1
        :: else -> skip
        fi;
        if
        :: newest > known ->
            // Handed over, and never arrived.
            access[from] = READ; data[from] = handed_data[from]; owner[from] = true;
            m_owner = from; copies = copies | 1 << from; best = version[from]
        :: newest <= known && copies == 0 && written && known == 0 && first != NOBODY &&
           first != gone ->
            // Its first writer has not written.
            access[manager] = READ; data[manager] = 0; owner[manager] = true;
            m_owner = manager; copies = 1 << manager
        :: newest <= known && copies != 0 && best >= known ->
            if
            :: m_owner == NOBODY && written ->
                from = 0;
                do
                :: copies & 1 << from -> break
                :: else -> from++
                od;
                m_owner = from;
                owner[from] = true
            :: else -> skip
            fi
        :: else ->
            lost = written
        fi;
        i = 0;
        do
        :: i < NODES ->
            forget_handed(i);
            if
            :: !dead[i] && !(copies & 1 << i) -> access[i] = NONE; owner[i] = false
            :: else -> skip
            fi;
            i++
        :: else -> break
        od;
        m_version = best;
        m_txn = 0; state = IDLE; requester = NOBODY; unacknowledged = 0;
        unmarked = false; done = false;
        m_written = written; b_written = written && backup != NOBODY;
        m_first = NOBODY; b_first = NOBODY;
        assert(!lost || died);
        // Never stale: what was written and has died is not taken for zeroes.
        assert(lost || latest == 0 || written);
        i = 0; known = 0; best = 0; from = 0; newest = 0; first = 0; written = false; died = false
    };
    check();
    n = 0;
    do
    :: n < NODES ->
        if
        :: !dead[n] && want[n] != NONE && !lost ->
            send(message(REQUEST, n, manager, n, (want[n] == WRITE), (access[n] != NONE), 0, version[n]))
        :: dead[n] || lost -> want[n] = NONE; access[n] = NONE; owner[n] = false
        :: else -> skip
        fi;
        n++
    :: else -> break
    od;
    n = 0
}

// --- What may happen ------------------------------------------------------------------------------

inline choose_node()
{
    n = 0;
    do
    :: n + 1 < NODES -> n++
    :: break
    od
}

inline ask(wanted)
{
    want[n] = wanted;
    left--;
    send(message(REQUEST, n, manager, n, (wanted == WRITE), (access[n] != NONE), 0, version[n]))
}


active proctype world()
{
    d_step {
        manager = 0; backup = 1; m_owner = NOBODY; requester = NOBODY; left = REQUESTS;
        m_first = NOBODY; b_first = NOBODY; doubles = DOUBLES; deaths = DEATHS;
        aheads = AHEADS;
        i = 0;
        do
        :: i < NODES -> handed_to[i] = NOBODY; i++
        :: else -> break
        od;
        i = 0
    };
    do
    :: atomic { left > 0 && !lost -> choose_node();
        if
        :: !dead[n] && want[n] == NONE && access[n] == NONE -> ask(READ)
        :: !dead[n] && want[n] == NONE && access[n] != WRITE -> ask(WRITE)
        :: !dead[n] && access[n] == READ && !owner[n] -> access[n] = NONE; data[n] = 0; left--
        :: !dead[n] && access[n] == WRITE -> latest++; data[n] = latest; left--
        :: else -> skip
        fi;
        n = 0; check() }
    :: atomic { under_way > 0 ->
        j = 0;
        do
        :: j + 1 < under_way -> j++
        :: break
        od;
        if
        :: KIND(net[j]) != REQUEST || state == IDLE ->
            m = net[j];
            if
            :: doubles > 0 && under_way < SLOTS - 2 -> doubles--
            :: take(j)
            fi;
            j = 0;
            receive();
            m = 0;
            check()
        :: else -> j = 0
        fi }
    :: atomic { aheads > 0 && state == IDLE && !lost && m_owner != NOBODY && copies == 1 << m_owner ->
        aheads--;
        choose_node();
        if
        :: !dead[n] && n != m_owner ->
            requester = n; have = false;
            if
            :: writes = true
            :: writes = false
            fi;
            start()
        :: else -> skip
        fi;
        n = 0; check() }
    :: atomic { deaths > 0 && !lost -> deaths--; choose_node(); m = n; rebuild(m); m = 0; n = 0 }
    :: atomic { (left == 0 || lost) && under_way == 0 ->
        // Nothing is on its way any more: every request has ended.
        n = 0;
        do
        :: n < NODES -> assert(dead[n] || want[n] == NONE); n++
        :: else -> break
        od;
        n = 0;
        break }
    od
}
