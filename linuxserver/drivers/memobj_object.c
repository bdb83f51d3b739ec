// SPDX-License-Identifier: GPL-2.0-only
// Memory objects: made when they are first opened, known by the kernel's id of their port,
// forgotten when nobody has them open any more and their data are back.
#include "memobj.h"

#include <corvus/pager_services.h>
#include <corvus/services.h>

#include <linux/init.h>
#include <linux/ktime.h>
#include <linux/mount.h>
#include <linux/mutex.h>
#include <linux/pseudo_fs.h>
#include <linux/random.h>
#include <linux/slab.h>

#define AGAIN_NS 1000000

static LIST_HEAD(objects);
static DEFINE_XARRAY_ALLOC(labels);
static u32 next_label;
static unsigned int object_count;
static DEFINE_MUTEX(opening);
static DECLARE_WAIT_QUEUE_HEAD(gone);
static struct vfsmount *mount;
unsigned int memobj_node;

static int __init node_is(char *text)
{
    if (kstrtouint(text, 10, &memobj_node) != 0 || memobj_node > MEMOBJ_NODE_MAX)
        memobj_node = 0;
    return 0; // the first process wants to know, too
}
__setup("node=", node_is);

corvus_error_t memobj_service(u32 id, u64 word0, u64 word1, u64 word2, u64 *answer)
{
    static const unsigned char counts[] = {
        [SERVICE_task_allocate_port - SERVICE_task_create] = 1,
        [SERVICE_task_deallocate_right - SERVICE_task_create] = 1,
        [SERVICE_task_right_info - SERVICE_task_create] = 1,
        [SERVICE_task_enable_port - SERVICE_task_create] = 2,
        [SERVICE_task_set_port - SERVICE_task_create] = 3,
    };
    u64 words[MESSAGE_SERVICE_WORDS] = {word0, word1, word2};
    unsigned int index = id - SERVICE_task_create;
    unsigned int count = index < ARRAY_SIZE(counts) ? counts[index] : 0;
    corvus_error_t error =
        (corvus_error_t)messages_service(NAME_TASK_SELF, id, count, words, NULL, NULL);

    if (answer != NULL)
        *answer = words[0];
    return error;
}

void memobj_deallocate(u32 name)
{
    if (name != PORT_NULL)
        (void)memobj_service(SERVICE_task_deallocate_right, name, 0, 0, NULL);
}

// --- Found ------------------------------------------------------------------------------

struct memobj_object *memobj_object_of_label(u64 label)
{
    return label <= U32_MAX ? xa_load(&labels, label) : NULL;
}

struct memobj_object *memobj_object_of_port(u32 name)
{
    struct memobj_object *object = NULL;

    list_for_each_entry(object, &objects, link)
    {
        if (object->port == name)
            return object;
    }
    return NULL;
}

static struct memobj_object *object_of_id(u64 port_id)
{
    struct memobj_object *object = NULL;

    list_for_each_entry(object, &objects, link)
    {
        if (object->port_id == port_id)
            return object;
    }
    return NULL;
}

// --- Made -------------------------------------------------------------------------------

static const struct address_space_operations address_operations = {
    .dirty_folio = noop_dirty_folio,
};

// An object has the size with which it was opened.
static int refuse_attributes(struct user_namespace *users, struct dentry *entry,
                             struct iattr *change)
{
    return change->ia_valid & ATTR_SIZE ? -EINVAL : -EPERM;
}

static const struct inode_operations inode_operations = {.setattr = refuse_attributes};

static struct inode *make_inode(void)
{
    struct inode *inode = new_inode(mount->mnt_sb);

    if (inode == NULL)
        return NULL;
    inode->i_ino = get_next_ino();
    inode->i_mode = S_IFREG | 0600;
    inode->i_atime = inode->i_mtime = inode->i_ctime = current_time(inode);
    inode->i_op = &inode_operations;
    inode->i_mapping->a_ops = &address_operations;
    mapping_set_gfp_mask(inode->i_mapping, GFP_HIGHUSER);
    mapping_set_unevictable(inode->i_mapping); // its pages go when we say so
    return inode;
}

static int make_ports(struct memobj_object *object)
{
    u64 name;
    int error = port_daemon_make_port(&memobj_daemon, object->label, MEMOBJ_BACKLOG,
                                      &object->request, &object->arrivals);

    if (error != 0)
        return error;
    if (memobj_service(SERVICE_task_allocate_port, 0, 0, 0, &name) != ERR_OK)
        return -ENOMEM;
    object->name = (u32)name;
    error = port_daemon_watch(&memobj_daemon, object->port);
    return error == ERR_OK ? 0 : error == ERR_NO_MEMORY ? -ENOMEM : -EPIPE;
}

static void destroy(struct memobj_object *object)
{
    if (object->arrivals != NULL) {
        corvus_port_end(object->arrivals);
        corvus_port_put(object->arrivals);
    }
    memobj_deallocate(object->request);
    memobj_deallocate(object->name);
    memobj_deallocate(object->port);
    if (object->label != 0)
        xa_erase(&labels, object->label);
    if (object->inode != NULL)
        iput(object->inode);
    xa_destroy(&object->pages);
    kfree(object);
}

static void nothing(struct memobj_object *object, struct memobj_message *message, int error)
{
}

static void send_begin(struct memobj_object *object)
{
    struct memobj_message *message = &object->begin;

    message->id = MESSAGE_pager_init;
    message->words = 2;
    message->rights = 2;
    message->word[0] = object->incarnation;
    message->word[1] = memobj_node;
    message->right[0] = (struct message_right){object->request, MAKE_SEND};
    message->right[1] = (struct message_right){object->name, MAKE_SEND};
    message->sent = nothing;
    memobj_send(object, message);
}

static struct memobj_object *allocate(u32 port, u64 port_id)
{
    struct memobj_object *object = kzalloc(sizeof *object, GFP_KERNEL);

    if (object == NULL)
        return NULL;
    object->port = port;
    object->port_id = port_id;
    while (object->incarnation == 0)
        object->incarnation = get_random_u64();
    INIT_LIST_HEAD(&object->link);
    INIT_LIST_HEAD(&object->care);
    send_queue_begin(&object->queue, &memobj_send_kind);
    INIT_LIST_HEAD(&object->requests);
    INIT_LIST_HEAD(&object->begin.link);
    INIT_LIST_HEAD(&object->rest.link);
    INIT_LIST_HEAD(&object->end.link);
    init_waitqueue_head(&object->wait);
    xa_init(&object->pages);
    return object;
}

static struct memobj_object *make(u32 port, u64 port_id)
{
    struct memobj_object *object;
    int error = -ENOMEM;

    if (object_count >= MEMOBJ_OBJECTS_MAX) {
        memobj_deallocate(port);
        return ERR_PTR(-ENFILE);
    }
    object = allocate(port, port_id);
    if (object == NULL) {
        memobj_deallocate(port);
        return ERR_PTR(-ENOMEM);
    }
    object->inode = make_inode();
    if (object->inode != NULL &&
        xa_alloc_cyclic(&labels, &object->label, object, XA_LIMIT(PORT_DAEMON_FIRST_LABEL, INT_MAX),
                        &next_label, GFP_KERNEL) >= 0)
        error = make_ports(object);
    if (error != 0) {
        destroy(object);
        return ERR_PTR(error);
    }
    object->users = 1;
    list_add(&object->link, &objects);
    object_count++;
    send_begin(object);
    return object;
}

// Nobody can have it any more, and it has not gone yet.
static bool is_leaving(const struct memobj_object *object)
{
    return object != NULL && (object->terminating || (object->error != 0 && object->users == 0));
}

// NULL: it is about to be forgotten.
static struct memobj_object *find_or_make(u32 port, u64 port_id)
{
    struct memobj_object *object = object_of_id(port_id);

    if (object == NULL)
        return make(port, port_id);
    if (is_leaving(object))
        return NULL;
    memobj_deallocate(port);
    if (object->error != 0)
        return ERR_PTR(object->error);
    // Its name went while it was looked up.
    if (object->idle)
        return ERR_PTR(-ENOENT);
    object->users++;
    return object;
}

struct memobj_object *memobj_object_open(u32 port)
{
    u64 words[MESSAGE_SERVICE_WORDS] = {port};
    struct memobj_object *object = NULL;
    int error = messages_service(NAME_TASK_SELF, SERVICE_task_right_info, 1, words, NULL, NULL);

    if (error != ERR_OK || words[0] != RIGHT_SEND) {
        memobj_deallocate(port);
        return ERR_PTR(error == ERR_OK && words[0] == RIGHT_DEAD ? -EPIPE : -EINVAL);
    }
    while (object == NULL) {
        error = wait_event_killable(gone, !is_leaving(object_of_id(words[1])));
        if (error == 0)
            error = mutex_lock_killable(&opening);
        if (error != 0) {
            memobj_deallocate(port);
            return ERR_PTR(-EINTR);
        }
        object = find_or_make(port, words[1]);
        mutex_unlock(&opening);
    }
    return object;
}

// --- Forgotten ----------------------------------------------------------------------------

void memobj_object_close(struct memobj_object *object)
{
    if (--object->users != 0)
        return;
    // What nobody has open may not keep others from being opened.
    if (object_count > MEMOBJ_OBJECTS_MAX / 2)
        object->caching = PAGER_CACHE_NOT;
    memobj_care(object);
}

bool memobj_object_cache(struct memobj_object *object, u64 what)
{
    if (what > PAGER_CACHE_IDLE)
        return false;
    object->caching = (u8)what;
    object->idle &= what == PAGER_CACHE_IDLE;
    memobj_care(object);
    return true;
}

void memobj_object_fail(struct memobj_object *object, int error)
{
    struct memobj_page *page = NULL;
    unsigned long index;

    if (object->error != 0)
        return;
    object->error = error;
    object->counts.dead = 1;
    xa_for_each(&object->pages, index, page)
    {
        wake_up_all(&page->wait);
    }
    send_queue_drop(&object->queue);
    memobj_care(object);
}

// All its pages go, back to the pager or, when it has failed, nowhere. False: not all yet.
static bool drop_pages(struct memobj_object *object)
{
    struct memobj_page *page = NULL;
    unsigned long index;
    bool all = true;

    xa_for_each(&object->pages, index, page)
    {
        page->users++;
        if (list_empty(&page->ask.link))
            page->sequence = 0;
        if (page->folio != NULL)
            all &= object->error != 0 ? memobj_page_forget(page) : memobj_page_drop(page, 0);
        memobj_page_put(page);
        cond_resched();
    }
    return all && xa_empty(&object->pages);
}

static void send_end(struct memobj_object *object)
{
    struct memobj_message *message = &object->end;

    object->terminating = true;
    message->id = MESSAGE_pager_terminate;
    message->words = 1;
    message->word[0] = object->incarnation;
    message->sent = nothing;
    memobj_send(object, message);
}

// The pager may want what is cached no more.
static void say_idle(struct memobj_object *object)
{
    struct memobj_message *message = &object->rest;

    if (object->caching != PAGER_CACHE_IDLE || object->idle || object->users != 0 ||
        object->busy != 0 || object->error != 0 || !list_empty(&message->link))
        return;
    object->idle = true;
    message->id = MESSAGE_pager_idle;
    message->words = 1;
    message->word[0] = object->incarnation;
    message->sent = nothing;
    memobj_send(object, message);
}

static bool is_wanted(const struct memobj_object *object)
{
    return object->users != 0 || object->busy != 0 ||
           (object->caching != PAGER_CACHE_NOT && object->page_count != 0 && object->error == 0);
}

u64 memobj_object_tend(struct memobj_object *object)
{
    u64 until, soon = ktime_get_ns() + AGAIN_NS;

    if (object->queue.stuck)
        send_queue_go_on(&object->queue);
    if (object->error != 0) {
        memobj_requests_drop(object);
        if (!drop_pages(object) && object->page_count != 0)
            return soon;
    }
    until = memobj_requests_work(object);
    if (until == 0 && object->queue.stuck)
        until = soon;
    if (is_wanted(object)) {
        say_idle(object);
        return until;
    }
    if (!list_empty(&object->requests) || !drop_pages(object))
        return soon;
    if (is_wanted(object)) // it may have slept
        return until;
    if (!object->terminating)
        send_end(object);
    if (!send_queue_is_over(&object->queue))
        return object->queue.stuck ? soon : 0;
    list_del(&object->link);
    list_del_init(&object->care);
    object_count--;
    destroy(object);
    wake_up_all(&gone);
    return 0;
}

// --- The file system that holds their pages ---------------------------------------------------

static int init_context(struct fs_context *context)
{
    return init_pseudo(context, 0x436f4f62) != NULL ? 0 : -ENOMEM;
}

static struct file_system_type type = {
    .name = "memobj-pages",
    .init_fs_context = init_context,
    .kill_sb = kill_anon_super,
};

int memobj_objects_begin(void)
{
    mount = kern_mount(&type);
    return PTR_ERR_OR_ZERO(mount);
}

struct file *memobj_object_file(struct memobj_object *object, loff_t size)
{
    struct memobj_file *own = kzalloc(sizeof *own, GFP_KERNEL);
    struct file *file;

    if (own == NULL)
        return ERR_PTR(-ENOMEM);
    own->object = object;
    own->size = size;
    if (size > i_size_read(object->inode))
        i_size_write(object->inode, size);
    ihold(object->inode);
    file = alloc_file_pseudo(object->inode, mount, "memory-object", O_RDWR | O_LARGEFILE,
                             &memobj_file_operations);
    if (IS_ERR(file)) {
        iput(object->inode);
        kfree(own);
        return file;
    }
    file->f_mode |= FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE;
    file->private_data = own;
    return file;
}
