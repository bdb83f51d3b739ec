// SPDX-License-Identifier: BSD-2-Clause
// Two small tables. A name goes with the child that checked it in, or when its
// port dies, whichever comes first.
#include "names.h"

#include "reply.h"

#include "lib/port.h"

#include <string.h>

struct entry {
    const struct child *owner; // NULL: free
    struct service_name name;
    port_name_t right; // send right, or for a wait the reply right
};

static struct entry services[NAMES_MAX], waits[NAMES_MAX];

bool names_from_words(struct service_name *name, const uint64_t words[4])
{
    memcpy(name->text, words, NAME_BYTES);
    name->text[NAME_BYTES] = '\0';
    if (name->text[0] == '\0')
        return false;
    for (size_t i = strlen(name->text); i < NAME_BYTES; i++) {
        if (name->text[i] != '\0')
            return false;
    }
    return true;
}

static struct entry *find(struct entry *table, const struct service_name *name)
{
    for (uint32_t i = 0; i < NAMES_MAX; i++) {
        if (table[i].owner != NULL && strcmp(table[i].name.text, name->text) == 0)
            return &table[i];
    }
    return NULL;
}

static struct entry *find_free(struct entry *table)
{
    for (uint32_t i = 0; i < NAMES_MAX; i++) {
        if (table[i].owner == NULL)
            return &table[i];
    }
    return NULL;
}

static void clear(struct entry *entry)
{
    (void)port_deallocate(entry->right);
    *entry = (struct entry){0};
}

// Answers a caller who waited, with a send right.
static void answer(struct entry *wait, port_name_t service)
{
    struct message message = {.tag = 1 | TAG_RIGHTS(1), .words = {ERR_OK}};
    utcb_self()->rights[0] = copy_send(service);
    reply_send(&wait->right, &message);
    *wait = (struct entry){0};
}

static void answer_waits(const struct service_name *name, port_name_t service)
{
    struct entry *wait;
    while ((wait = find(waits, name)) != NULL)
        answer(wait, service);
}

static bool dead(port_name_t right)
{
    uint64_t kind;
    return task_right_info(NAME_TASK_SELF, right, &kind, NULL, NULL) != ERR_OK ||
           kind == RIGHT_DEAD;
}

corvus_error_t names_check_in(const struct child *child, const struct service_name *name,
                              port_name_t service)
{
    struct entry *entry = find(services, name);
    // The notice of its death may still be on its way.
    if (entry != NULL && dead(entry->right))
        clear(entry);
    else if (entry != NULL)
        return ERR_IN_USE;
    entry = find_free(services);
    if (entry == NULL)
        return ERR_NO_MEMORY;
    *entry = (struct entry){.owner = child, .name = *name, .right = service};
    answer_waits(name, service);
    return ERR_OK;
}

port_name_t names_find(const struct service_name *name)
{
    struct entry *entry = find(services, name);
    return entry == NULL || dead(entry->right) ? PORT_NULL : entry->right;
}

corvus_error_t names_wait(const struct child *child, const struct service_name *name,
                          port_name_t reply)
{
    struct entry *entry = find_free(waits);
    if (entry == NULL)
        return ERR_NO_MEMORY;
    *entry = (struct entry){.owner = child, .name = *name, .right = reply};
    return ERR_OK;
}

bool names_died(port_name_t service)
{
    for (uint32_t i = 0; i < NAMES_MAX; i++) {
        if (services[i].owner != NULL && services[i].right == service) {
            clear(&services[i]);
            return true;
        }
    }
    return false;
}

void names_forget(const struct child *child)
{
    for (uint32_t i = 0; i < NAMES_MAX; i++) {
        if (services[i].owner == child)
            clear(&services[i]);
        if (waits[i].owner == child)
            clear(&waits[i]);
    }
}
