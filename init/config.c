// SPDX-License-Identifier: BSD-2-Clause
// The parser of the node's configuration: lines of words, one stanza a server.
// No state outlives a call, nothing is allocated, and every loop is bounded by
// the text or by a limit of config.h.
#include "config.h"

#include "config_words.h"

#include <corvus/types.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct parser {
    struct config *config;
    config_report_t *report;
    void *context;
    struct config_server *server; // the stanza being read; NULL before the first
    struct config_server spare;   // takes what follows a `server` line that cannot be kept
    bool flawed;                  // that stanza has a mistake
    uint32_t line;
    uint32_t mistakes;
    uint32_t seen; // keys of this stanza, by index into `keys`
};

__attribute__((format(printf, 2, 3))) static bool mistake(struct parser *parser, const char *format,
                                                          ...)
{
    char message[CONFIG_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    parser->mistakes++;
    parser->flawed = true;
    parser->report(parser->context, parser->line, message);
    return false;
}

// --- Values ---------------------------------------------------------------

static bool valid_name(const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || length >= CONFIG_NAME_MAX)
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
           length;
}

static bool take_name(struct parser *parser, const char *word, char *name)
{
    if (!valid_name(word))
        return mistake(parser, "'%.40s' is not a name: up to %d letters, digits, '-', '_', '.'",
                       word, CONFIG_NAME_MAX - 1);
    strcpy(name, word);
    return true;
}

static bool take_names(struct parser *parser, const struct config_words *words,
                       struct config_names *names)
{
    for (uint32_t i = 1; i < words->count; i++) {
        if (names->count == CONFIG_DEPENDENCIES_MAX)
            return mistake(parser, "more than %d names", CONFIG_DEPENDENCIES_MAX);
        if (!take_name(parser, words->words[i], names->names[names->count]))
            return false;
        names->count++;
    }
    return true;
}

static bool take_string(struct parser *parser, const char *word, struct config_strings *strings,
                        uint32_t count_max)
{
    size_t bytes = strlen(word) + 1;
    if (strings->count == count_max)
        return mistake(parser, "more than %u words", (unsigned)count_max);
    if (bytes > sizeof strings->text - strings->bytes)
        return mistake(parser, "more than %d bytes of text", CONFIG_STRINGS_BYTES);
    memcpy(strings->text + strings->bytes, word, bytes);
    strings->bytes += (uint32_t)bytes;
    strings->count++;
    return true;
}

static bool take_bytes(struct parser *parser, const char *word, uint64_t least, uint64_t *value)
{
    if (!config_read_bytes(word, value))
        return mistake(parser, "'%.40s' is not a size: a number with K, M, G or nothing", word);
    if (*value < least)
        return mistake(parser, "%.40s is too little: at least %llu bytes", word,
                       (unsigned long long)least);
    return true;
}

static bool take_number(struct parser *parser, const char *word, uint32_t most, uint32_t *value)
{
    uint64_t number;
    if (!config_read_number(word, &number) || number > most)
        return mistake(parser, "'%.40s' is not a number from 0 to %u", word, (unsigned)most);
    *value = (uint32_t)number;
    return true;
}

// --- Keys -----------------------------------------------------------------
// Each is called with a stanza open and the right number of words.

static bool key_module(struct parser *parser, const struct config_words *words)
{
    return take_name(parser, words->words[1], parser->server->module);
}

static bool key_arguments(struct parser *parser, const struct config_words *words)
{
    for (uint32_t i = 1; i < words->count; i++) {
        if (!take_string(parser, words->words[i], &parser->server->arguments, CONFIG_ARGUMENTS_MAX))
            return false;
    }
    return true;
}

static bool key_environment(struct parser *parser, const struct config_words *words)
{
    for (uint32_t i = 1; i < words->count; i++) {
        const char *equals = strchr(words->words[i], '=');
        if (equals == NULL || equals == words->words[i])
            return mistake(parser, "'%.40s' is not NAME=VALUE", words->words[i]);
        if (!take_string(parser, words->words[i], &parser->server->environment,
                         CONFIG_ENVIRONMENT_MAX))
            return false;
    }
    return true;
}

static bool key_memory(struct parser *parser, const struct config_words *words)
{
    return take_bytes(parser, words->words[1], 64 << 10, &parser->server->memory);
}

static bool key_stack(struct parser *parser, const struct config_words *words)
{
    uint64_t *stack = &parser->server->stack;

    if (!take_bytes(parser, words->words[1], 16 << 10, stack))
        return false;
    if (*stack > CONFIG_STACK_MAX)
        return mistake(parser, "%.40s is too much: at most %llu bytes", words->words[1],
                       (unsigned long long)CONFIG_STACK_MAX);
    *stack = (*stack + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    return true;
}

static bool key_quota(struct parser *parser, const struct config_words *words)
{
    const char *word = words->words[1];
    size_t length = strlen(word);
    char digits[8];

    if (length > 1 && length < sizeof digits && word[length - 1] == '%') {
        memcpy(digits, word, length - 1);
        digits[length - 1] = '\0';
        return take_number(parser, digits, 100, &parser->server->quota_share);
    }
    return take_bytes(parser, words->words[1], 64 << 10, &parser->server->quota);
}

static bool key_priority(struct parser *parser, const struct config_words *words)
{
    return take_number(parser, words->words[1], CONFIG_PRIORITY_MAX, &parser->server->priority);
}

static bool take_policy(struct parser *parser, const char *word)
{
    for (int policy = RESTART_NEVER; policy <= RESTART_ALWAYS; policy++) {
        if (strcmp(word, config_restart_text(policy)) == 0) {
            parser->server->restart = policy;
            return true;
        }
    }
    return mistake(parser, "'%.40s' is not a restart policy: never, on-failure or always", word);
}

static bool key_restart(struct parser *parser, const struct config_words *words)
{
    struct config_server *server = parser->server;
    if (!take_policy(parser, words->words[1]))
        return false;
    for (uint32_t i = 2; i < words->count; i += 2) {
        const char *option = words->words[i];
        if (i + 1 == words->count)
            return mistake(parser, "'%.40s' needs a number after it", option);
        if (strcmp(option, "backoff") == 0) {
            if (!take_number(parser, words->words[i + 1], CONFIG_BACKOFF_MAX_MS,
                             &server->backoff_ms))
                return false;
        } else if (strcmp(option, "limit") == 0) {
            if (!take_number(parser, words->words[i + 1], UINT32_MAX, &server->restarts_max))
                return false;
        } else {
            return mistake(parser, "'%.40s' is not known here: backoff or limit", option);
        }
    }
    return true;
}

static const struct {
    const char *word;
    uint32_t flag;
} privileges[] = {
    {"devices", CONFIG_DEVICES},
    {"io", CONFIG_IO},
    {"power", CONFIG_POWER},
    {"console", CONFIG_CONSOLE},
};

static bool take_privilege(struct parser *parser, const char *word)
{
    for (size_t i = 0; i < sizeof privileges / sizeof privileges[0]; i++) {
        if (strcmp(word, privileges[i].word) == 0) {
            parser->server->flags |= privileges[i].flag;
            return true;
        }
    }
    return mistake(parser, "'%.40s' is not a privilege: devices, io, power or console", word);
}

static bool key_privileges(struct parser *parser, const struct config_words *words)
{
    for (uint32_t i = 1; i < words->count; i++) {
        if (!take_privilege(parser, words->words[i]))
            return false;
    }
    return true;
}

static bool key_after(struct parser *parser, const struct config_words *words)
{
    return take_names(parser, words, &parser->server->after);
}

static bool key_after_end(struct parser *parser, const struct config_words *words)
{
    return take_names(parser, words, &parser->server->after_end);
}

static bool key_requires(struct parser *parser, const struct config_words *words)
{
    return take_names(parser, words, &parser->server->requires);
}

static bool key_modules(struct parser *parser, const struct config_words *words)
{
    return take_names(parser, words, &parser->server->modules);
}

static bool key_testsuite(struct parser *parser, const struct config_words *words)
{
    (void)words;
    parser->server->flags |= CONFIG_TESTSUITE;
    return true;
}

static bool key_allocator(struct parser *parser, const struct config_words *words)
{
    if (words->count == 3 && !take_number(parser, words->words[2], CONFIG_PRIORITY_MAX,
                                          &parser->config->allocator_priority))
        return false;
    return take_bytes(parser, words->words[1], 64 << 10, &parser->config->allocator);
}

// --- Stanzas --------------------------------------------------------------

// Ends the stanza: one with a mistake is taken back.
static void close_stanza(struct parser *parser)
{
    if (parser->server != NULL && parser->server != &parser->spare && parser->flawed)
        parser->config->count--;
    parser->server = NULL;
    parser->flawed = false;
}

static struct config_server *open_stanza(struct parser *parser)
{
    struct config_server *server = &parser->spare;
    if (parser->config->count == CONFIG_SERVERS_MAX)
        mistake(parser, "more than %d servers", CONFIG_SERVERS_MAX);
    else
        server = &parser->config->servers[parser->config->count++];
    *server = (struct config_server){
        .memory = CONFIG_MEMORY_DEFAULT,
        .stack = CONFIG_STACK_DEFAULT,
        .quota = CONFIG_QUOTA_DEFAULT,
        .priority = CONFIG_PRIORITY_DEFAULT,
        .backoff_ms = CONFIG_BACKOFF_DEFAULT_MS,
        .restarts_max = CONFIG_RESTARTS_DEFAULT,
        .line = parser->line,
    };
    return server;
}

static bool key_server(struct parser *parser, const struct config_words *words)
{
    close_stanza(parser);
    parser->seen = 0;
    struct config_server *server = parser->server = open_stanza(parser);
    if (words->count != 2)
        return mistake(parser, "'server' needs one name");
    if (!take_name(parser, words->words[1], server->name))
        return false;
    strcpy(server->module, server->name);
    for (uint32_t i = 0; i + 1 < parser->config->count; i++) {
        if (strcmp(parser->config->servers[i].name, server->name) == 0)
            return mistake(parser, "'%s' is in line %u already", server->name,
                           (unsigned)parser->config->servers[i].line);
    }
    return true;
}

static const struct key {
    const char *word;
    bool (*take)(struct parser *parser, const struct config_words *words);
    uint32_t words_min, words_max; // with the key itself
    bool repeats;
    bool of_node; // stands before the first stanza
} keys[] = {
    {"server", key_server, 1, CONFIG_WORDS_MAX, true, false},
    {"module", key_module, 2, 2, false, false},
    {"arguments", key_arguments, 2, CONFIG_WORDS_MAX, true, false},
    {"environment", key_environment, 2, CONFIG_WORDS_MAX, true, false},
    {"memory", key_memory, 2, 2, false, false},
    {"stack", key_stack, 2, 2, false, false},
    {"quota", key_quota, 2, 2, false, false},
    {"priority", key_priority, 2, 2, false, false},
    {"restart", key_restart, 2, 6, false, false},
    {"privileges", key_privileges, 2, CONFIG_WORDS_MAX, true, false},
    {"after", key_after, 2, CONFIG_WORDS_MAX, true, false},
    {"after-end", key_after_end, 2, CONFIG_WORDS_MAX, true, false},
    {"requires", key_requires, 2, CONFIG_WORDS_MAX, true, false},
    {"modules", key_modules, 2, CONFIG_WORDS_MAX, true, false},
    {"testsuite", key_testsuite, 1, 1, false, false},
    {"allocator", key_allocator, 2, 3, false, true},
};
#define KEY_COUNT (sizeof keys / sizeof keys[0])

static bool take_key(struct parser *parser, size_t index, const struct config_words *words)
{
    const struct key *key = &keys[index];
    if (words->count < key->words_min)
        return mistake(parser, "'%s' needs a value", key->word);
    if (words->count > key->words_max)
        return mistake(parser, "'%s' has too many values", key->word);
    if (key->of_node && parser->server != NULL)
        return mistake(parser, "'%s' behind the first 'server' line", key->word);
    if (!key->of_node && key->take != key_server && parser->server == NULL)
        return mistake(parser, "'%s' before the first 'server' line", key->word);
    if (!key->repeats && (parser->seen & 1u << index))
        return mistake(parser, key->of_node ? "'%s' a second time" : "'%s' a second time for '%s'",
                       key->word, key->of_node ? "" : parser->server->name);
    parser->seen |= 1u << index;
    return key->take(parser, words);
}

static void parse_line(struct parser *parser, const char *text, size_t length)
{
    struct config_words words;
    const char *problem = config_split(text, length, &words);
    if (problem != NULL) {
        mistake(parser, "%s", problem);
        return;
    }
    if (words.count == 0)
        return;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (strcmp(words.words[0], keys[i].word) == 0) {
            take_key(parser, i, &words);
            return;
        }
    }
    mistake(parser, "'%.40s' is not a key", words.words[0]);
}

// --- Between stanzas --------------------------------------------------------

static bool known(const struct config *config, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(config->servers[i].name, name) == 0)
            return true;
    }
    return false;
}

// Order may only name servers that stand earlier in the text: this rules out
// cycles, and the order of the text is an order of starting.
static bool check_order(struct parser *parser, const struct config_server *server,
                        const struct config_names *names, uint32_t earlier)
{
    for (uint32_t i = 0; i < names->count; i++) {
        if (!known(parser->config, earlier, names->names[i]))
            return mistake(parser, "'%s' starts after '%s', which no earlier server is called",
                           server->name, names->names[i]);
    }
    return true;
}

static bool check_server(struct parser *parser, const struct config_server *server,
                         uint32_t earlier, bool console_given)
{
    parser->line = server->line;
    if (!check_order(parser, server, &server->after, earlier) ||
        !check_order(parser, server, &server->after_end, earlier))
        return false;
    if ((server->flags & CONFIG_CONSOLE) && console_given)
        return mistake(parser, "'%s' cannot have the console: an earlier server has it",
                       server->name);
    return true;
}

static void check_servers(struct parser *parser)
{
    struct config *config = parser->config;
    uint32_t kept = 0;
    bool console_given = false;
    for (uint32_t i = 0; i < config->count; i++) {
        if (!check_server(parser, &config->servers[i], kept, console_given))
            continue;
        console_given |= (config->servers[i].flags & CONFIG_CONSOLE) != 0;
        if (kept != i)
            config->servers[kept] = config->servers[i];
        kept++;
    }
    config->count = kept;
}

const char *config_restart_text(enum config_restart restart)
{
    switch (restart) {
    case RESTART_ON_FAILURE:
        return "on-failure";
    case RESTART_ALWAYS:
        return "always";
    default:
        return "never";
    }
}

uint32_t config_parse(const char *text, size_t length, struct config *config,
                      config_report_t *report, void *context)
{
    struct parser parser = {.config = config, .report = report, .context = context};
    config->count = 0;
    config->allocator = 0;
    config->allocator_priority = CONFIG_PRIORITY_ALLOCATOR;
    for (size_t start = 0; start < length;) {
        const char *newline = memchr(text + start, '\n', length - start);
        size_t end = newline == NULL ? length : (size_t)(newline - text);
        parser.line++;
        parse_line(&parser, text + start, end - start);
        start = end + 1;
    }
    close_stanza(&parser);
    check_servers(&parser);
    return parser.mistakes;
}
