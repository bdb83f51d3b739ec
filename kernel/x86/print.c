// SPDX-License-Identifier: BSD-2-Clause
// kprintf: a format is taken apart into conversions, each described by a
// structure, and printed character by character. No buffer, so it also serves
// when nothing else works any more.
#include "x86/print.h"

#include <stdbool.h>
#include <stdint.h>

#include "x86/uart.h"

struct conversion {
    int width;
    int longs; // how many l
    bool zero;
    bool left;
};

static void put_padding(char character, int count)
{
    while (count-- > 0)
        uart_put(character);
}

static void put_text(const struct conversion *conversion, const char *text)
{
    int length = 0;

    if (!text)
        text = "(null)";
    while (text[length])
        length++;
    if (!conversion->left)
        put_padding(' ', conversion->width - length);
    for (int i = 0; i < length; i++)
        uart_put(text[i]);
    if (conversion->left)
        put_padding(' ', conversion->width - length);
}

static void put_number(const struct conversion *conversion, uint64_t value, unsigned base,
                       bool negative)
{
    char digits[20]; // 2^64 in decimal
    int count = 0;

    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);

    int padding = conversion->width - count - negative;
    if (!conversion->left && !conversion->zero)
        put_padding(' ', padding);
    if (negative)
        uart_put('-');
    if (!conversion->left && conversion->zero)
        put_padding('0', padding);
    while (count > 0)
        uart_put(digits[--count]);
    if (conversion->left)
        put_padding(' ', padding);
}

// The list comes by reference, since what a function does to a copy of it is lost (C11 7.16).
struct argument_list {
    va_list list;
};

static void put_signed(const struct conversion *conversion, struct argument_list *arguments)
{
    int64_t value =
        conversion->longs ? va_arg(arguments->list, int64_t) : va_arg(arguments->list, int);
    put_number(conversion, value < 0 ? -(uint64_t)value : (uint64_t)value, 10, value < 0);
}

static void put_unsigned(const struct conversion *conversion, struct argument_list *arguments,
                         unsigned base)
{
    uint64_t value =
        conversion->longs ? va_arg(arguments->list, uint64_t) : va_arg(arguments->list, unsigned);
    put_number(conversion, value, base, false);
}

static void put_conversion(char type, struct conversion *conversion,
                           struct argument_list *arguments)
{
    switch (type) {
    case 's':
        put_text(conversion, va_arg(arguments->list, const char *));
        break;
    case 'c':
        uart_put((char)va_arg(arguments->list, int));
        break;
    case 'd':
        put_signed(conversion, arguments);
        break;
    case 'u':
        put_unsigned(conversion, arguments, 10);
        break;
    case 'x':
        put_unsigned(conversion, arguments, 16);
        break;
    case 'p':
        conversion->zero = true;
        conversion->width = 16;
        put_number(conversion, (uint64_t)va_arg(arguments->list, void *), 16, false);
        break;
    default: // %% and what the compiler's check would have refused
        uart_put(type);
    }
}

// Reads flags, width and length; returns the first character after them.
static const char *parse_conversion(const char *format, struct conversion *conversion)
{
    *conversion = (struct conversion){0};
    for (; *format == '0' || *format == '-'; format++) {
        conversion->zero |= *format == '0';
        conversion->left |= *format == '-';
    }
    for (; *format >= '0' && *format <= '9'; format++)
        conversion->width = conversion->width * 10 + *format - '0';
    for (; *format == 'l'; format++)
        conversion->longs++;
    return format;
}

void kvprintf(const char *format, va_list list)
{
    struct argument_list arguments;

    va_copy(arguments.list, list);
    for (; *format; format++) {
        if (*format != '%') {
            uart_put(*format);
            continue;
        }
        struct conversion conversion;
        format = parse_conversion(format + 1, &conversion);
        if (!*format)
            break;
        put_conversion(*format, &conversion, &arguments);
    }
    va_end(arguments.list);
}

void kprintf(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    kvprintf(format, arguments);
    va_end(arguments);
}
