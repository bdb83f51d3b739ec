// SPDX-License-Identifier: GPL-2.0-only
// The one directory of the file system memobj. Other nodes change it at any time, so what Linux
// remembers of a name is asked anew before it is used.
#include "memobj_segments.h"

#include <linux/fs.h>
#include <linux/namei.h>
#include <linux/slab.h>

#define LIST_BYTES 16384

// --- Names --------------------------------------------------------------------------------

static int revalidate(struct dentry *entry, unsigned int flags)
{
    struct inode *inode;
    u64 segment;
    int error;

    if (flags & LOOKUP_RCU)
        return -ECHILD;
    if (IS_ROOT(entry))
        return 1;
    inode = d_inode(entry);
    if (inode == NULL)
        return 0;
    error = memobj_segment_look_up(memobj_server_of(entry->d_sb), &entry->d_name, &segment);
    if (error == -ENOENT)
        return 0;
    if (error != 0)
        return error;
    if (segment != inode->i_ino)
        return 0;
    error = memobj_refresh(inode);
    return error == -ENOENT ? 0 : error != 0 ? error : 1;
}

// A name without use is not remembered at all.
static int forget_name(const struct dentry *entry)
{
    return 1;
}

static const struct dentry_operations dentry_operations = {
    .d_revalidate = revalidate,
    .d_delete = forget_name,
};

static struct dentry *look_up(struct inode *folder, struct dentry *entry, unsigned int flags)
{
    struct inode *inode = NULL;
    u64 segment;
    int error;

    if (entry->d_name.len > SEGMENT_NAME_MAX)
        return ERR_PTR(-ENAMETOOLONG);
    error = memobj_segment_look_up(memobj_server_of(folder->i_sb), &entry->d_name, &segment);
    if (error == 0)
        inode = memobj_inode(folder->i_sb, segment);
    if (error != 0 && error != -ENOENT)
        return ERR_PTR(error);
    if (IS_ERR(inode) && PTR_ERR(inode) != -ENOENT)
        return ERR_CAST(inode);
    return d_splice_alias(IS_ERR(inode) ? NULL : inode, entry);
}

static int create(struct user_namespace *users, struct inode *folder, struct dentry *entry,
                  umode_t mode, bool exclusive)
{
    struct memobj_server *server = memobj_server_of(folder->i_sb);
    kgid_t group = folder->i_mode & S_ISGID ? folder->i_gid : current_fsgid();
    struct inode *inode;
    u64 segment;
    int error = memobj_segment_create(server, &entry->d_name, mode & SEGMENT_MODE_MAX,
                                      from_kuid(&init_user_ns, current_fsuid()),
                                      from_kgid(&init_user_ns, group), &segment);

    // Another node was faster: that is as if it had been there before.
    if (error == -EEXIST && !exclusive)
        error = memobj_segment_look_up(server, &entry->d_name, &segment);
    if (error != 0)
        return error;
    inode = memobj_inode(folder->i_sb, segment);
    if (IS_ERR(inode))
        return PTR_ERR(inode);
    d_instantiate(entry, inode);
    return 0;
}

static int link_name(struct dentry *from, struct inode *folder, struct dentry *entry)
{
    struct inode *inode = d_inode(from);
    int error = memobj_segment_link(memobj_server_of(folder->i_sb), inode->i_ino, &entry->d_name);

    if (error != 0)
        return error;
    (void)memobj_refresh(inode);
    ihold(inode);
    d_instantiate(entry, inode);
    return 0;
}

static int unlink_name(struct inode *folder, struct dentry *entry)
{
    int error = memobj_segment_unlink(memobj_server_of(folder->i_sb), &entry->d_name);

    if (error == 0 && memobj_refresh(d_inode(entry)) != 0)
        clear_nlink(d_inode(entry));
    return error;
}

static int rename_name(struct user_namespace *users, struct inode *folder, struct dentry *from,
                       struct inode *new_folder, struct dentry *to, unsigned int flags)
{
    u64 own = (flags & RENAME_NOREPLACE ? SEGMENT_NO_REPLACE : 0) |
              (flags & RENAME_EXCHANGE ? SEGMENT_EXCHANGE : 0);
    int error;

    if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE))
        return -EINVAL;
    error = memobj_segment_rename(memobj_server_of(folder->i_sb), own, &from->d_name, &to->d_name);
    if (error == 0 && d_inode(to) != NULL && !(flags & RENAME_EXCHANGE) &&
        memobj_refresh(d_inode(to)) != 0)
        clear_nlink(d_inode(to));
    return error;
}

static int folder_attributes(struct user_namespace *users, struct iattr *change)
{
    return change->ia_valid & ATTR_SIZE ? -EISDIR : 0;
}

static int set_folder(struct user_namespace *users, struct dentry *entry, struct iattr *change)
{
    int error = folder_attributes(users, change);

    return error != 0 ? error : simple_setattr(users, entry, change);
}

static const struct inode_operations folder_inode_operations = {
    .lookup = look_up,
    .create = create,
    .link = link_name,
    .unlink = unlink_name,
    .rename = rename_name,
    .setattr = set_folder,
};

// --- readdir ---------------------------------------------------------------------------------

// What the server told last, and how far it has been handed on. Positions count names.
struct listing {
    u64 next;         // cookie of what follows
    loff_t position;  // of the name at `at`
    size_t at, bytes; // in `entries`
    bool ended;
    u8 entries[LIST_BYTES];
};

static void rewind_listing(struct listing *listing)
{
    listing->next = 0;
    listing->position = 2; // behind . and ..
    listing->at = listing->bytes = 0;
    listing->ended = false;
}

// The name at `at`, with what is before it; NULL: there are no more (0) or *error.
static const struct segment_entry *entry_at(struct memobj_server *server, struct listing *listing,
                                            int *error)
{
    const struct segment_entry *entry;
    size_t left;

    *error = 0;
    if (listing->at >= listing->bytes && !listing->ended) {
        listing->at = 0;
        listing->bytes = LIST_BYTES;
        *error = memobj_segment_list(server, &listing->next, listing->entries, &listing->bytes);
        if (*error != 0)
            listing->bytes = 0;
        listing->ended = listing->bytes == 0;
    }
    if (listing->ended || *error != 0)
        return NULL;
    entry = (const struct segment_entry *)&listing->entries[listing->at];
    left = listing->bytes - listing->at;
    if (left < sizeof *entry || entry->name_bytes == 0 || entry->name_bytes > SEGMENT_NAME_MAX ||
        left < sizeof *entry + entry->name_bytes) {
        *error = -EIO;
        return NULL;
    }
    return entry;
}

static int iterate(struct file *file, struct dir_context *context)
{
    struct listing *listing = file->private_data;
    struct memobj_server *server = memobj_server_of(file_inode(file)->i_sb);
    const struct segment_entry *entry;
    int error;

    if (!dir_emit_dots(file, context))
        return 0;
    if (context->pos < listing->position)
        rewind_listing(listing);
    while ((entry = entry_at(server, listing, &error)) != NULL) {
        if (listing->position >= context->pos) {
            if (!dir_emit(context, (const char *)(entry + 1), (int)entry->name_bytes,
                          entry->segment, DT_REG))
                return 0;
            context->pos = listing->position + 1;
        }
        listing->position++;
        listing->at += segment_entry_bytes(entry->name_bytes);
    }
    return error;
}

static int open_folder(struct inode *inode, struct file *file)
{
    struct listing *listing = kvmalloc(sizeof *listing, GFP_KERNEL | __GFP_ZERO);

    if (listing == NULL)
        return -ENOMEM;
    rewind_listing(listing);
    file->private_data = listing;
    return 0;
}

static int release_folder(struct inode *inode, struct file *file)
{
    kvfree(file->private_data);
    return 0;
}

// From the beginning it is a new listing.
static loff_t seek_folder(struct file *file, loff_t offset, int whence)
{
    loff_t result = generic_file_llseek_size(file, offset, whence, MAX_LFS_FILESIZE, 0);

    if (result == 0)
        rewind_listing(file->private_data);
    return result;
}

static const struct file_operations folder_operations = {
    .open = open_folder,
    .release = release_folder,
    .llseek = seek_folder,
    .read = generic_read_dir,
    .iterate = iterate, // one at a time: it is the file's listing
    .fsync = noop_fsync,
};

struct inode *memobj_root(struct super_block *super, umode_t mode)
{
    struct inode *inode = new_inode(super);

    super->s_d_op = &dentry_operations;
    if (inode == NULL)
        return NULL;
    inode->i_ino = 1;
    inode->i_mode = S_IFDIR | mode;
    inode->i_atime = inode->i_mtime = inode->i_ctime = current_time(inode);
    inode->i_op = &folder_inode_operations;
    inode->i_fop = &folder_operations;
    set_nlink(inode, 2);
    return inode;
}
