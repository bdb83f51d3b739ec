// SPDX-License-Identifier: BSD-2-Clause
// Counters of the network server, as netname_counters (netname.def) tells them: those of
// the protocol core, then those of the node's part.
#pragma once

// CORE_COUNTERS(C): C(name, "text"). Of all peers together.
#define CORE_COUNTERS(C)                                                                           \
    C(messages_sent, "messages to ports of other nodes")                                           \
    C(messages_received, "messages from other nodes")                                              \
    C(calls, "of those sent: RPCs")                                                                \
    C(answers_received, "answers, errors included")                                                \
    C(rights_sent, "rights in messages sent")                                                      \
    C(rights_received, "rights in messages received")                                              \
    C(segments_sent, "segments")                                                                   \
    C(segments_received, "segments")                                                               \
    C(bytes_sent, "bytes of segments")                                                             \
    C(bytes_received, "bytes of segments")                                                         \
    C(controls_sent, "control records")                                                            \
    C(sessions, "sessions begun")                                                                  \
    C(sessions_ended, "sessions ended")                                                            \
    C(hellos_refused, "first messages of those who do not hold the key, and the like")             \
    C(segments_refused, "altered, repeated or misplaced segments; each ends its session")          \
    C(protocol_errors, "sound segments with impossible contents; each ends its session")           \
    C(silent, "sessions ended because nothing was heard")                                          \
    C(dead_exports, "messages to ports that were no more")                                         \
    C(pauses, "times that senders were made to wait")                                              \
    C(no_memory, "sessions ended, or rights and messages refused, for want of memory")

// NODE_COUNTERS(C): C(name, "text").
#define NODE_COUNTERS(C)                                                                           \
    C(workers, "threads for deliveries that wait")                                                 \
    C(workers_busy, "of these, at work")                                                           \
    C(jobs_waiting, "deliveries for which there is no thread")                                     \
    C(jobs, "deliveries made by threads")                                                          \
    C(jobs_abandoned, "RPCs that were ended because their caller's node died")                     \
    C(unwatched, "ports whose death will not be told, for want of memory")                         \
    C(beacons_refused, "beacons that were not of this cluster, or altered")                        \
    C(beacons_old, "beacons seen before")                                                          \
    C(names, "names of this node")                                                                 \
    C(names_waited_for, "look-ups that wait")                                                      \
    C(connects, "connections made")                                                                \
    C(accepts, "connections taken")                                                                \
    C(connections_lost, "connections that were broken off, refused or timed out")                  \
    C(strangers, "TCP segments of those of whom no beacon was heard; not answered")                \
    C(connects_refused, "connections of a node that begins too many; not answered")
