# SPDX-License-Identifier: BSD-2-Clause
#
# For gdb with a node, or a core of one: `threads` shows every thread, by task, with its state, the registers
# of its system call (rax: the tag of corvus/message.h, rdi: to, rsi: from), and what it waits for. A vCPU that
# idles (state 5) with an event pending, or a first deadline before what the clock is armed for, is a fault.
#
#   gdb build/kernel/corvus.elf NODE.core -x kernel/threads.gdb -ex threads

# Of $thread.
define show_thread
    printf "  thread %lu priority %u state %u hazard %x suspended %u\n", $thread->id, $thread->priority, \
        $thread->state, $thread->hazard, $thread->suspended
    printf "    rip %lx rsp %lx rax %lx rdi %lx rsi %lx\n", $thread->frame.rip, $thread->frame.rsp, \
        $thread->frame.rax, $thread->frame.rdi, $thread->frame.rsi
    if $thread->replier
        printf "    to be answered by thread %lu\n", $thread->replier->id
    end
    if $thread->sending_to
        printf "    sends to port %lu with label %lx\n", $thread->sending_to->id, $thread->sending_to->label
    end
    if $thread->vcpu
        printf "    vCPU: pending %lx events_enabled %u in_entry %u reason %u\n", \
            $thread->vcpu->state->pending, $thread->vcpu->state->events_enabled, \
            $thread->vcpu->state->in_entry, $thread->vcpu->state->reason
    end
end

# Guests have no threads. From a task without children the way leads back by its parents.
define threads
    set $task = root_task
    printf "states as in kernel/thread.h; now runs "
    output cpu.current
    printf ", ready up to priority %u, slice %u; the clock is armed for %ld ns", cpu.highest_ready, \
        cpu.slice_armed, armed_for
    if 'kernel/deadline.c'::root
        printf ", the first deadline is %ld ns", 'kernel/deadline.c'::root->time
    end
    printf "\n"
    while $task
        if $task->thread_count
            printf "task %lu: %u threads, terminated %u, cr3 %lx\n", $task->id, $task->thread_count, \
                $task->terminated, $task->space.cr3
            set $link = $task->threads.next
            while $link != &$task->threads
                set $thread = (struct thread *)((char *)$link - (long)&((struct thread *)0)->task_link)
                show_thread
                set $link = $link->next
            end
        end
        # The next one: its first child, else the sibling of it or of its parents.
        set $link = $task->children.next
        set $up = $task
        if $link == &$task->children
            set $link = 0
        end
        while !$link && $up && $up != root_task
            set $link = $up->sibling_link.next
            set $up = $up->parent
            if $link == &$up->children
                set $link = 0
            end
        end
        set $task = (struct task *)0
        if $link
            set $task = (struct task *)((char *)$link - (long)&((struct task *)0)->sibling_link)
        end
    end
end

document threads
Every thread of the node, by task.
end

