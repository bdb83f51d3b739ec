// SPDX-License-Identifier: GPL-2.0-only
// Segments as files: their attributes, which are the server's, and their opening.
#include "memobj_segments.h"

#include <linux/falloc.h>
#include <linux/slab.h>

int memobj_refresh(struct inode *inode)
{
    struct memobj_attributes attributes;
    int error = memobj_segment_get(memobj_server_of(inode->i_sb), inode->i_ino, &attributes);

    if (error != 0)
        return error;
    inode->i_mode = S_IFREG | (attributes.mode & SEGMENT_MODE_MAX);
    inode->i_uid = make_kuid(&init_user_ns, (uid_t)attributes.uid);
    inode->i_gid = make_kgid(&init_user_ns, (gid_t)attributes.gid);
    inode->i_mtime = inode->i_atime = ns_to_timespec64((s64)attributes.modified);
    inode->i_ctime = ns_to_timespec64((s64)attributes.changed);
    set_nlink(inode, (unsigned int)attributes.links);
    i_size_write(inode, (loff_t)attributes.size);
    inode->i_blocks = attributes.size >> 9;
    return 0;
}

// --- Attributes ---------------------------------------------------------------------------

static int get_attributes(struct user_namespace *users, const struct path *path,
                          struct kstat *result, u32 mask, unsigned int flags)
{
    struct inode *inode = d_inode(path->dentry);
    int error = memobj_refresh(inode);

    if (error != 0)
        return error;
    generic_fillattr(&init_user_ns, inode, result);
    result->blksize = PAGE_SIZE;
    return 0;
}

// How far pages may be asked for ahead: as far as the segment goes, as far as is known here.
static void note_size(struct file *file, loff_t size)
{
    i_size_write(memobj_file_of(file)->object->inode, size);
}

static int set_attributes(struct user_namespace *users, struct dentry *entry, struct iattr *change)
{
    struct inode *inode = d_inode(entry);
    struct memobj_attributes attributes = {0};
    u64 which = 0;
    int error = setattr_prepare(&init_user_ns, entry, change);

    if (error != 0)
        return error;
    if (change->ia_valid & ATTR_MODE) {
        which |= SEGMENT_SET_MODE;
        attributes.mode = change->ia_mode & SEGMENT_MODE_MAX;
    }
    if (change->ia_valid & ATTR_UID) {
        which |= SEGMENT_SET_UID;
        attributes.uid = from_kuid(&init_user_ns, change->ia_uid);
    }
    if (change->ia_valid & ATTR_GID) {
        which |= SEGMENT_SET_GID;
        attributes.gid = from_kgid(&init_user_ns, change->ia_gid);
    }
    if (change->ia_valid & ATTR_SIZE) {
        if (change->ia_size > SEGMENT_SIZE_MAX)
            return -EFBIG;
        which |= SEGMENT_SET_SIZE;
        attributes.size = (u64)change->ia_size;
    }
    if (change->ia_valid & ATTR_MTIME) {
        which |= SEGMENT_SET_TIMES;
        attributes.modified = (u64)timespec64_to_ns(&change->ia_mtime);
    }
    if (which == 0)
        return 0;
    error = memobj_segment_set(memobj_server_of(inode->i_sb), inode->i_ino, which, &attributes);
    if (error == 0 && change->ia_valid & ATTR_SIZE && change->ia_valid & ATTR_FILE)
        note_size(change->ia_file, change->ia_size);
    return error != 0 ? error : memobj_refresh(inode);
}

static const struct inode_operations inode_operations = {
    .getattr = get_attributes,
    .setattr = set_attributes,
};

// --- Files --------------------------------------------------------------------------------

// An open file's segment is there, unless the server that knew it has ended.
static int of_open_file(int error)
{
    return error == -ENOENT ? -EIO : error;
}

static loff_t size_now(struct file *file)
{
    struct inode *inode = file_inode(file);
    int error = memobj_refresh(inode);

    if (error != 0)
        return of_open_file(error);
    note_size(file, i_size_read(inode));
    return i_size_read(inode);
}

static int grow(struct file *file, loff_t size)
{
    struct inode *inode = file_inode(file);
    struct memobj_attributes attributes = {.size = (u64)size};
    int error;

    if (size > SEGMENT_SIZE_MAX)
        return -EFBIG;
    error = memobj_segment_set(memobj_server_of(inode->i_sb), inode->i_ino, SEGMENT_SET_SIZE,
                               &attributes);
    if (error == 0)
        note_size(file, size);
    return of_open_file(error);
}

static int open_file(struct inode *inode, struct file *file)
{
    struct memobj_object *object;
    struct memobj_file *own;
    u32 port;
    int error = memobj_segment_open(memobj_server_of(inode->i_sb), inode->i_ino, &port);

    if (error != 0)
        return error;
    object = memobj_object_open(port);
    if (IS_ERR(object))
        return PTR_ERR(object) == -EPIPE ? -EIO : PTR_ERR(object);
    own = kzalloc(sizeof *own, GFP_KERNEL);
    if (own == NULL) {
        memobj_object_close(object);
        return -ENOMEM;
    }
    own->object = object;
    // The server knows which pages there are, and tells by errors.
    own->size = SEGMENT_SIZE_MAX;
    own->size_now = size_now;
    own->grow = grow;
    file->private_data = own;
    note_size(file, i_size_read(inode));
    file->f_mapping = object->inode->i_mapping;
    file->f_wb_err = filemap_sample_wb_err(file->f_mapping);
    return 0;
}

static long allocate_range(struct file *file, int mode, loff_t offset, loff_t length)
{
    loff_t size;

    if (mode != 0)
        return -EOPNOTSUPP;
    size = size_now(file);
    return size < 0 ? size : offset + length > size ? grow(file, offset + length) : 0;
}

static struct file_operations file_operations;

struct inode *memobj_inode(struct super_block *super, u64 segment)
{
    struct inode *inode = iget_locked(super, segment);
    int error;

    if (inode == NULL)
        return ERR_PTR(-ENOMEM);
    error = memobj_refresh(inode);
    if (!(inode->i_state & I_NEW)) {
        if (error == 0)
            return inode;
        iput(inode);
        return ERR_PTR(error);
    }
    if (error != 0) {
        iget_failed(inode);
        return ERR_PTR(error);
    }
    inode->i_op = &inode_operations;
    inode->i_fop = &file_operations;
    unlock_new_inode(inode);
    return inode;
}

static int __init make_operations(void)
{
    file_operations = memobj_file_operations;
    file_operations.open = open_file;
    file_operations.fallocate = allocate_range;
    return 0;
}
core_initcall(make_operations);
