// SPDX-License-Identifier: GPL-2.0-only
// mount -t memobj -o server=NAME[,mode=OCTAL] none FOLDER. The server may come later, go, and come
// again: until it is there all but the folder itself is an I/O error.
#include "memobj_segments.h"

#include <corvus/services.h>

#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/statfs.h>

enum { OPTION_SERVER, OPTION_MODE };

static const struct fs_parameter_spec options[] = {
    fsparam_string("server", OPTION_SERVER),
    fsparam_u32oct("mode", OPTION_MODE),
    {},
};

static int parse(struct fs_context *context, struct fs_parameter *parameter)
{
    struct memobj_server *server = context->s_fs_info;
    struct fs_parse_result result;
    int option = fs_parse(context, options, parameter, &result);

    if (option < 0)
        return option;
    if (option == OPTION_MODE) {
        if (result.uint_32 > SEGMENT_MODE_MAX)
            return invalf(context, "memobj: mode is out of range");
        server->mode = (umode_t)result.uint_32;
        return 0;
    }
    if (parameter->size == 0 || parameter->size > 32)
        return invalf(context, "memobj: a server's name has 1 to 32 bytes");
    memset(server->name, 0, sizeof server->name);
    memcpy(server->name, parameter->string, parameter->size);
    return 0;
}

static int show_options(struct seq_file *to, struct dentry *root)
{
    seq_show_option(to, "server", memobj_server_of(root->d_sb)->name);
    seq_printf(to, ",mode=%o", d_inode(root)->i_mode & SEGMENT_MODE_MAX);
    return 0;
}

static const struct super_operations super_operations = {
    .statfs = simple_statfs,
    .drop_inode = generic_delete_inode,
    .show_options = show_options,
};

static int fill(struct super_block *super, struct fs_context *context)
{
    super->s_magic = MEMOBJ_MAGIC;
    super->s_op = &super_operations;
    super->s_maxbytes = SEGMENT_SIZE_MAX;
    super->s_blocksize = PAGE_SIZE;
    super->s_blocksize_bits = PAGE_SHIFT;
    super->s_time_gran = 1;
    super->s_root = d_make_root(memobj_root(super, memobj_server_of(super)->mode));
    return super->s_root != NULL ? 0 : -ENOMEM;
}

static int get_tree(struct fs_context *context)
{
    const struct memobj_server *server = context->s_fs_info;

    if (server->name[0] == '\0')
        return invalf(context, "memobj: which server? -o server=NAME");
    return get_tree_nodev(context, fill);
}

static void free_context(struct fs_context *context)
{
    kfree(context->s_fs_info); // it has not become a mount's
}

static const struct fs_context_operations context_operations = {
    .parse_param = parse,
    .get_tree = get_tree,
    .free = free_context,
};

static int init_context(struct fs_context *context)
{
    struct memobj_server *server = kzalloc(sizeof *server, GFP_KERNEL);

    if (server == NULL)
        return -ENOMEM;
    server->mode = S_ISVTX | 0777;
    context->s_fs_info = server;
    context->ops = &context_operations;
    return 0;
}

static void kill_super(struct super_block *super)
{
    struct memobj_server *server = memobj_server_of(super);

    kill_anon_super(super);
    if (server != NULL)
        memobj_deallocate(server->port);
    kfree(server);
}

static struct file_system_type type = {
    .name = "memobj",
    .init_fs_context = init_context,
    .parameters = options,
    .kill_sb = kill_super,
};

static int __init begin(void)
{
    return register_filesystem(&type);
}
late_initcall(begin);
