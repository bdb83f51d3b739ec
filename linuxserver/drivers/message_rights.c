// SPDX-License-Identifier: GPL-2.0-only
// Tables of rights, and how much of everything a file, a user and all users have.
#include "message.h"

#include <corvus/services.h>

#include <linux/capability.h>
#include <linux/sched.h>
#include <linux/slab.h>

static LIST_HEAD(shares);
static DEFINE_SPINLOCK(shares_lock);
static unsigned int node_names;
static size_t node_bytes;

// --- Shares ----------------------------------------------------------------------------

struct corvus_share *corvus_share_get(kuid_t user)
{
    struct corvus_share *fresh = kzalloc(sizeof *fresh, GFP_KERNEL), *share;

    if (fresh == NULL)
        return NULL;
    fresh->user = user;
    spin_lock(&shares_lock);
    list_for_each_entry(share, &shares, link)
    {
        if (uid_eq(share->user, user))
            break;
    }
    if (list_entry_is_head(share, &shares, link)) {
        share = fresh;
        list_add(&share->link, &shares);
        fresh = NULL;
    }
    share->files++;
    spin_unlock(&shares_lock);
    kfree(fresh);
    return share;
}

void corvus_share_put(struct corvus_share *share)
{
    spin_lock(&shares_lock);
    if (--share->files == 0)
        list_del(&share->link);
    else
        share = NULL;
    spin_unlock(&shares_lock);
    kfree(share);
}

static bool take_name(struct corvus_file *file)
{
    bool fits;

    spin_lock(&shares_lock);
    fits = file->names < FILE_NAMES_MAX && node_names < NODE_NAMES_MAX &&
           (file->privileged || file->share->names < USER_NAMES_MAX);
    if (fits) {
        file->names++;
        file->share->names++;
        node_names++;
    }
    spin_unlock(&shares_lock);
    return fits;
}

static void give_name(struct corvus_file *file)
{
    spin_lock(&shares_lock);
    file->names--;
    file->share->names--;
    node_names--;
    spin_unlock(&shares_lock);
}

bool corvus_take_bytes(struct corvus_file *file, size_t bytes)
{
    bool fits;

    spin_lock(&shares_lock);
    fits = node_bytes + bytes <= NODE_BYTES_MAX &&
           (file->privileged || file->share->bytes + bytes <= USER_BYTES_MAX);
    if (fits) {
        file->share->bytes += bytes;
        node_bytes += bytes;
    }
    spin_unlock(&shares_lock);
    return fits;
}

void corvus_give_bytes(struct corvus_file *file, size_t bytes)
{
    spin_lock(&shares_lock);
    file->share->bytes -= bytes;
    node_bytes -= bytes;
    spin_unlock(&shares_lock);
}

bool corvus_take_work(struct corvus_file *file)
{
    bool fits;

    spin_lock(&shares_lock);
    fits = file->privileged || file->share->works < USER_WORKS_MAX;
    if (fits)
        file->share->works++;
    spin_unlock(&shares_lock);
    return fits;
}

void corvus_give_work(struct corvus_file *file)
{
    spin_lock(&shares_lock);
    file->share->works--;
    spin_unlock(&shares_lock);
}

void corvus_usage(struct corvus_file *file, struct corvus_usage *usage)
{
    u64 words[MESSAGE_SERVICE_WORDS] = {0};

    // id, quota, used, threads, rights
    (void)messages_service(NAME_TASK_SELF, SERVICE_task_info, 0, words, NULL, NULL);
    spin_lock(&shares_lock);
    *usage = (struct corvus_usage){
        .version = CORVUS_LINUX_VERSION,
        .names = file->names - file->spare_count,
        .names_max = FILE_NAMES_MAX,
        .user_names = file->share->names,
        .user_max = USER_NAMES_MAX,
        .node_names = node_names,
        .node_max = NODE_NAMES_MAX,
        .workers_max = MESSAGE_WORKERS_MAX - 1,
        .node_bytes = node_bytes,
        .node_bytes_max = NODE_BYTES_MAX,
        .server_rights = words[4],
    };
    spin_unlock(&shares_lock);
    messages_workers(&usage->workers, &usage->workers_busy);
}

// --- Rights ------------------------------------------------------------------------------

static struct corvus_right *make_spare(struct corvus_file *file, int *error)
{
    struct corvus_right *right = NULL;

    *error = ERR_RIGHTS_FULL;
    if (!take_name(file))
        return NULL;
    *error = ERR_NO_MEMORY;
    right = kzalloc(sizeof *right, GFP_KERNEL);
    // Nothing is found under the number yet.
    if (right != NULL &&
        xa_alloc_cyclic(&file->rights, &right->number, NULL, XA_LIMIT(FIRST_NAME, INT_MAX),
                        &file->next_number, GFP_KERNEL) >= 0) {
        kref_init(&right->users);
        right->file = file;
        *error = ERR_OK;
        return right;
    }
    kfree(right);
    give_name(file);
    return NULL;
}

static void destroy(struct kref *users)
{
    struct corvus_right *right = container_of(users, struct corvus_right, users);
    u64 words[MESSAGE_SERVICE_WORDS] = {right->name};

    if (right->port != NULL) {
        corvus_port_end(right->port);
        corvus_port_put(right->port);
    }
    if (right->name != PORT_NULL)
        (void)messages_service(NAME_TASK_SELF, SERVICE_task_deallocate_right, 1, words, NULL, NULL);
    give_name(right->file);
    kfree(right);
}

void corvus_right_put(struct corvus_right *right)
{
    if (right != NULL)
        kref_put(&right->users, destroy);
}

struct corvus_right *corvus_right_get(struct corvus_file *file, u64 number)
{
    struct corvus_right *right = NULL;

    if (number == 0 || number > INT_MAX)
        return NULL;
    xa_lock(&file->rights);
    right = xa_load(&file->rights, number);
    if (right != NULL && !right->leaving)
        kref_get(&right->users);
    else
        right = NULL;
    xa_unlock(&file->rights);
    return right;
}

void corvus_right_remove(struct corvus_right *right)
{
    // Two may want to; the table's reference is one.
    if (xa_cmpxchg(&right->file->rights, right->number, right, NULL, GFP_ATOMIC) == right)
        corvus_right_put(right);
}

void corvus_right_gone(struct corvus_right *right)
{
    right->name = PORT_NULL;
    if (right->port != NULL)
        corvus_port_end(right->port);
    corvus_right_remove(right);
}

int corvus_spares_get(struct corvus_file *file, struct list_head *list, unsigned int count)
{
    struct corvus_right *right;
    int error = ERR_OK;

    while (count > 0 && error == ERR_OK) {
        spin_lock(&file->lock);
        right = list_first_entry_or_null(&file->spares, struct corvus_right, spare);
        if (right != NULL) {
            list_del(&right->spare);
            file->spare_count--;
        }
        spin_unlock(&file->lock);
        if (right == NULL)
            right = make_spare(file, &error);
        if (right != NULL) {
            list_add_tail(&right->spare, list);
            count--;
        }
    }
    return error;
}

void corvus_spares_put(struct corvus_file *file, struct list_head *list)
{
    struct corvus_right *right = NULL, *next = NULL;

    list_for_each_entry_safe(right, next, list, spare)
    {
        bool kept;

        list_del(&right->spare);
        spin_lock(&file->lock);
        kept = file->spare_count < SPARES_MOST;
        if (kept) {
            list_add(&right->spare, &file->spares);
            file->spare_count++;
        }
        spin_unlock(&file->lock);
        if (kept)
            continue;
        xa_erase(&file->rights, right->number);
        corvus_right_put(right);
    }
}

u32 corvus_right_adopt(struct corvus_file *file, struct list_head *list, u32 name, u32 kind)
{
    struct corvus_right *right = list_first_entry(list, struct corvus_right, spare);

    list_del(&right->spare);
    right->name = name;
    right->kind = kind;
    if (kind == RIGHT_RECEIVE || kind == RIGHT_PORT_SET)
        right->port = corvus_port_make(name, kind == RIGHT_PORT_SET);
    xa_store(&file->rights, right->number, right, GFP_ATOMIC); // there is room for it
    return right->number;
}

// --- Notices -------------------------------------------------------------------------------

int corvus_notice_add(struct corvus_file *file, u32 name, u32 number)
{
    struct corvus_notice *notice;

    if (!take_name(file))
        return ERR_RIGHTS_FULL;
    notice = kmalloc(sizeof *notice, GFP_KERNEL);
    if (notice == NULL) {
        give_name(file);
        return ERR_NO_MEMORY;
    }
    notice->name = name;
    notice->number = number;
    spin_lock(&file->lock);
    list_add_tail(&notice->link, &file->notices);
    spin_unlock(&file->lock);
    return ERR_OK;
}

u32 corvus_notice_take(struct corvus_file *file, u32 name)
{
    struct corvus_notice *notice = NULL;
    u32 number = 0;

    spin_lock(&file->lock);
    list_for_each_entry(notice, &file->notices, link)
    {
        if (notice->name == name) {
            number = notice->number;
            list_del(&notice->link);
            break;
        }
    }
    spin_unlock(&file->lock);
    if (number != 0) {
        kfree(notice);
        give_name(file);
    }
    return number;
}

// --- Files -----------------------------------------------------------------------------------

void corvus_rights_open(struct corvus_file *file)
{
    xa_init_flags(&file->rights, XA_FLAGS_ALLOC);
    spin_lock_init(&file->lock);
    INIT_LIST_HEAD(&file->spares);
    INIT_LIST_HEAD(&file->notices);
    file->privileged = capable(CAP_SYS_RESOURCE);
}

// Nobody uses the file any more.
void corvus_rights_close(struct corvus_file *file)
{
    struct corvus_notice *notice = NULL, *next_notice = NULL;
    struct corvus_right *right = NULL, *next_right = NULL;
    unsigned long number;

    xa_for_each(&file->rights, number, right)
    {
        corvus_right_remove(right);
        cond_resched();
    }
    list_for_each_entry_safe(right, next_right, &file->spares, spare)
    {
        corvus_right_put(right);
    }
    list_for_each_entry_safe(notice, next_notice, &file->notices, link)
    {
        kfree(notice);
        give_name(file);
    }
    xa_destroy(&file->rights);
    WARN_ON(file->names != 0);
}
