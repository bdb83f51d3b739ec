// SPDX-License-Identifier: GPL-2.0-only
// What ports are called: /dev/vport0p1 by number, as elsewhere; by name
// /dev/virtio-ports/NAME, and /dev/corvus-agent for the agent's own. Names come from
// the host: one that is not fit for a file is not used.
#include "agent.h"

#include <linux/ctype.h>
#include <linux/fs.h>
#include <linux/printk.h>
#include <linux/string.h>

#define NODE_BY_NUMBER 0
#define NODE_BY_NAME   1

static bool is_fit_for_a_file(const char *name)
{
    const char *at = name;

    while (isalnum(*at) || *at == '.' || *at == '-' || *at == '_')
        at++;
    return at != name && *at == '\0' && name[0] != '.';
}

static void remove_node(struct port_node *node)
{
    if (node->registered)
        misc_deregister(&node->device);
    node->registered = false;
}

// `name` is what the node is known by; "" for none.
static void set_node(struct port_node *node, const struct file_operations *operations,
                     const char *name, const char *folder)
{
    if (node->registered && strcmp(node->name, name) == 0)
        return;
    remove_node(node);
    if (name[0] == '\0')
        return;
    strscpy(node->name, name, sizeof node->name);
    snprintf(node->path, sizeof node->path, "%s%s", folder, name);
    node->device = (struct miscdevice){
        .minor = MISC_DYNAMIC_MINOR,
        .name = node->name,
        .nodename = node->path,
        .fops = operations,
        .mode = 0600,
    };
    int error = misc_register(&node->device);
    node->registered = error == 0;
    if (error != 0)
        pr_err("corvus-agent: /dev/%s cannot be made: error %d\n", node->path, -error);
}

void port_update_nodes(struct port *port, const struct file_operations *operations)
{
    const char *name = port->known_present ? port->known_name : "";
    char number[sizeof port->known_name] = "";
    const char *folder = "virtio-ports/";

    if (port->known_present)
        snprintf(number, sizeof number, "vport%up%u", port->channel->number, port->number);
    set_node(&port->nodes[NODE_BY_NUMBER], operations, number, "");
    if (name[0] != '\0' && !is_fit_for_a_file(name)) {
        pr_warn("corvus-agent: %s is called '%s', which is not fit for a file\n", number, name);
        name = "";
    }
    if (strcmp(name, AGENT_PORT_NAME) == 0) {
        name = AGENT_DEVICE_NAME;
        folder = "";
    }
    set_node(&port->nodes[NODE_BY_NAME], operations, name, folder);
}
