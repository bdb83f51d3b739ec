// SPDX-License-Identifier: GPL-2.0-only
// What comes for stubs, in the daemon's thread; and which signals their descriptors wait for.
#include "linuxserver/migration/forward_private.h"

#include <linux/dcache.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

// --- signalfd ----------------------------------------------------------------------------

// A signalfd looks at what is pending here: what it reads stays here, blocked. As in fs/signalfd.c:
// the set of what it does not read.
struct signalfd_ctx {
    sigset_t sigmask;
};

static int add_claim(const void *context, struct file *file, unsigned int number)
{
    const struct signalfd_ctx *signals = file->private_data;
    sigset_t *claimed = (sigset_t *)context, wanted;

    if (strcmp(file->f_path.dentry->d_name.name, "[signalfd]") != 0 ||
        strcmp(file->f_path.dentry->d_sb->s_type->name, "anon_inodefs") != 0)
        return 0;
    wanted = signals->sigmask;
    signotset(&wanted);
    sigorsets(claimed, claimed, &wanted);
    return 0;
}

void stub_claims(struct stub *stub)
{
    sigemptyset(&stub->claimed);
    (void)iterate_fd(current->files, 0, add_claim, &stub->claimed);
    sigdelset(&stub->claimed, SIGKILL);
    sigdelset(&stub->claimed, SIGSTOP);
}

// --- Messages ----------------------------------------------------------------------------

static void refuse(void)
{
    migration_peer_counts.refused++;
}

// Nobody of that number: it was killed meanwhile, and so is the process.
static void answer_nobody(unsigned int node, const u64 words[MIGRATION_WORDS])
{
    u64 back[MIGRATION_WORDS] = {words[1], (u64)-ESRCH, FORWARD_DONE};

    (void)migration_send(node, FORWARD_RESULT, back, NULL, 0);
}

static void take_call(unsigned int node, const u64 words[MIGRATION_WORDS], const void *data,
                      size_t bytes)
{
    struct stub_call *call;
    struct stub_thread *thread;

    if (bytes < sizeof call->head) {
        refuse();
        return;
    }
    call = kvmalloc(sizeof *call + bytes, GFP_KERNEL);
    thread = stub_thread_find((pid_t)words[0]);
    if (call == NULL || thread == NULL || thread->stub->node != node || thread->call != NULL ||
        thread->sequence != 0) {
        kvfree(call);
        answer_nobody(node, words);
        return;
    }
    call->sequence = words[1];
    call->mask.sig[0] = words[2];
    call->interrupted = words[3] != 0;
    call->bytes = bytes - sizeof call->head;
    memcpy(&call->head, data, bytes);
    if (!marshal_is_sound(&call->head, call->bytes)) {
        kvfree(call);
        refuse();
        answer_nobody(node, words);
        return;
    }
    thread->call = call;
    wake_up(&thread->wait);
}

static void cancel(struct stub_thread *thread, u64 sequence)
{
    if (thread->call != NULL && thread->call->sequence == sequence)
        thread->call->interrupted = true;
    else if (thread->sequence == sequence && thread->task != NULL)
        set_notify_signal(thread->task);
}

static void take_action(struct stub *stub, unsigned int signal, const void *data, size_t bytes)
{
    const struct stub_thread *thread =
        list_first_entry_or_null(&stub->threads, struct stub_thread, link);
    struct sighand_struct *hand;

    if (bytes != sizeof(struct sigaction) || !valid_signal(signal) || signal == 0 ||
        sig_kernel_only((int)signal) || thread == NULL || thread->task == NULL) {
        refuse();
        return;
    }
    hand = thread->task->sighand;
    spin_lock_irq(&hand->siglock);
    memcpy(&hand->action[signal - 1].sa, data, bytes);
    spin_unlock_irq(&hand->siglock);
}

#define STATUS_IS_STOP(status) (((status)&0xff) == 0x7f)

static void take_status(struct stub *stub, const u64 words[MIGRATION_WORDS])
{
    int status = (int)words[1];
    u64 continued = words[2];

    if (!STATUS_IS_STOP(status)) {
        stub->ended = true;
        stub->status = status;
        stub->user_ns = words[3];
        stub->system_ns = words[4];
        stub->runtime_ns = words[5];
    } else if (continued == stub->continued && sig_kernel_stop(status >> 8 & 0x7f)) {
        stub->stop = status >> 8 & 0x7f;
    }
    stub_kick(stub);
}

// What is about a thread.
static void about_thread(struct stub_thread *thread, u32 id, const u64 words[MIGRATION_WORDS])
{
    if (id == FORWARD_CANCEL) {
        cancel(thread, words[1]);
        return;
    }
    thread->ending = true;
    wake_up(&thread->wait);
}

// The process goes on on the node that says so, which has heard of no continuation yet.
static void take_here(unsigned int node, const u64 words[MIGRATION_WORDS])
{
    struct stub *stub = stub_find((pid_t)words[0]);

    if (stub == NULL || stub->ended) { // it was killed meanwhile
        (void)migration_send(node, FORWARD_KILL, words, NULL, 0);
        return;
    }
    if (stub->node != node)
        stub->continued = 0;
    stub->node = node;
    move_is_on(stub->tgid, node);
}

// The process has gone on from there. Where it is says so itself, before that, unless the link to
// it was down: then it has ended.
static void take_left(unsigned int from, const u64 words[MIGRATION_WORDS])
{
    struct stub *stub = stub_find((pid_t)words[0]);
    unsigned int node = (unsigned int)words[1];

    if (stub == NULL || stub->node != from || stub->released || node == 0 ||
        node > migration_nodes())
        return;
    stub->node = node;
    move_is_on(stub->tgid, node);
    if (!migration_is_up(node))
        stub_node_gone(node);
}

// A signal that met nobody where the process was: to whom it is for, wherever that is now.
static void take_stray(const u64 words[MIGRATION_WORDS], const void *data, size_t bytes)
{
    kernel_siginfo_t info;
    struct task_struct *task;
    const struct stub *stub;

    if (bytes != sizeof info) {
        refuse();
        return;
    }
    memcpy(&info, data, sizeof info);
    if (!valid_signal((unsigned long)info.si_signo) || info.si_signo <= 0) {
        refuse();
        return;
    }
    stub = stub_find((pid_t)words[0]);
    if (stub != NULL && home_keeps(stub, (pid_t)words[1], &info))
        return;
    rcu_read_lock();
    task = find_task_by_pid_ns((pid_t)(words[1] != 0 ? words[1] : words[0]), &init_pid_ns);
    if (task != NULL && task->tgid == (pid_t)words[0])
        (void)do_send_sig_info(info.si_signo, &info, task,
                               words[1] != 0 ? PIDTYPE_PID : PIDTYPE_TGID);
    rcu_read_unlock();
}

void stub_from_process(unsigned int node, u32 id, const u64 words[MIGRATION_WORDS],
                       const void *data, size_t bytes)
{
    struct stub_thread *thread;
    struct stub *stub;

    if (id == FORWARD_CALL) {
        take_call(node, words, data, bytes);
        return;
    }
    if (id == FORWARD_CANCEL || id == FORWARD_END) {
        thread = stub_thread_find((pid_t)words[0]);
        if (thread != NULL && thread->stub->node == node)
            about_thread(thread, id, words);
        return;
    }
    if (id == FORWARD_HERE) {
        take_here(node, words);
        return;
    }
    if (id == FORWARD_LEFT) {
        take_left(node, words);
        return;
    }
    if (id == FORWARD_STRAY) {
        take_stray(words, data, bytes);
        return;
    }
    stub = stub_find((pid_t)words[0]);
    if (stub == NULL || stub->node != node) {
        // A child that was killed before it was there.
        if (id == FORWARD_BEGUN)
            (void)migration_send(node, FORWARD_KILL, words, NULL, 0);
        return;
    }
    switch (id) {
    case FORWARD_ACTION:
        take_action(stub, (unsigned int)words[1], data, bytes);
        break;
    case FORWARD_STATUS:
        take_status(stub, words);
        break;
    case FORWARD_BEGUN:
        stub->begun = true;
        stub->stop = 0;
        stub_kick(stub);
        break;
    }
}

void stub_node_gone(unsigned int node)
{
    struct stub *stub = NULL;

    list_for_each_entry(stub, &stubs, link)
    {
        if (stub->node != node || stub->ended || stub->released)
            continue;
        pr_warn("migration: process %d ends: node %u, where it ran, is gone\n", stub->tgid, node);
        stub->ended = true;
        stub->status = SIGKILL;
        stub_kick(stub);
    }
}
